"""CSV files that land in an S3 bucket, turned into trusted, tested, documented tables."""
