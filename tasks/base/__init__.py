"""The ground floor: errors, masking, durable writes, processes, git, HTTP, text. It knows no stack."""
