"""Run a command and print one number.

    measure.py wall|cpu [-n ROUNDS] COMMAND...     seconds, median of the rounds (5); cpu: user and system time of all its threads
    measure.py peak COMMAND...                     most memory it ever held, MB
"""
import resource
import subprocess
import sys
import time


def once(command):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit("%s: exit code %d: %s" % (" ".join(command), done.returncode, done.stderr.decode(errors="replace")[-500:]))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": time.monotonic() - start, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "peak": after.ru_maxrss // 1024}


def main():
    what, command, rounds = sys.argv[1], sys.argv[2:], 5
    if command[:1] == ["-n"]:
        rounds, command = int(command[1]), command[2:]
    if what == "peak":
        print(once(command)["peak"])
    else:
        print("%.6f" % sorted(once(command)[what] for _ in range(rounds))[rounds // 2])


main()
