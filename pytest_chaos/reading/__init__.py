"""From text to values, bounded and with positions: YAML and JSON as people write them into spec files."""
