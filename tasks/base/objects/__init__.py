"""Places that keep files by name and compare before they swap: a folder, an HTTP server, an S3 bucket."""
