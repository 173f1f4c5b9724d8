"""Reports: results -> JSON, Parquet, HTML, pictures."""
