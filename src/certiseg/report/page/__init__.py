"""The report as one HTML file: what it says, what it carries, its template, style and script."""
