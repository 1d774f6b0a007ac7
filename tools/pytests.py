"""Run the unittest cases of one file; the last line counts them: N passed, N failed."""
import importlib.util
import sys
import unittest

path = sys.argv[1]
spec = importlib.util.spec_from_file_location("cases", path)
module = importlib.util.module_from_spec(spec)
sys.path.insert(0, path.rsplit("/", 1)[0])
sys.modules["cases"] = module  # where unittest looks for setUpModule
spec.loader.exec_module(module)
suite = unittest.defaultTestLoader.loadTestsFromModule(module)
if len(sys.argv) > 2:
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[2:], module)
result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
failed = len(result.failures) + len(result.errors) + len(result.skipped)  # a skipped test was asked for and did not run
print(f"{result.testsRun - failed} passed, {failed} failed")
sys.exit(failed != 0)
