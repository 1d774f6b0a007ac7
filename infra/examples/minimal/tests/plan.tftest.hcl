mock_provider "aws" {
  source = "../../mocks"
}

variables {
  emails = ["a@example.org"]
  zip    = "versions.tf" # a file that is there
}

run "smallest_whole" {
  command = plan
  assert {
    condition     = module.influxdb.name == "afluxo" && module.network.subnet_ids != null
    error_message = "One name for all of it."
  }
  assert {
    condition     = toset(keys(output.token_secrets)) == toset(["loader", "monitor"]) && output.token_secrets["loader"] == "afluxo/token/loader"
    error_message = "Two secrets wait for their tokens."
  }
  assert {
    condition     = module.ingest.loader == "afluxo-loader" && module.observability.monitor == "afluxo-monitor"
    error_message = "Loader and monitor are named after the platform."
  }
}
