"""From objects in a bucket to rows in raw tables."""
