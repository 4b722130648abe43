"""What `import spacedsl` offers: pages as values with methods, and the flows as plain functions."""
