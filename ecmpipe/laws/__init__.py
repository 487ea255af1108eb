"""The equations of the SI as plain functions of NumPy arrays: no files, no engines, no settings."""
