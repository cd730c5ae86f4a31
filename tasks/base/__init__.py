"""The ground floor: errors, masking, durable writes, processes, git, HTTP and text. Nothing here knows about stacks."""
