"""Judge the sentiment of headlines, and land the verdicts in the bucket as files of the dataset sentiment/headlines.

From there they load like any file. docs/sentiment.md has how well the scorer does, and where it fails.
"""
