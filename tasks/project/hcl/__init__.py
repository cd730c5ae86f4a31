"""What the files of a root module say, read without the engine."""
