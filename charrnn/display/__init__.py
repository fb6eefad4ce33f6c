"""All drawing: what people see on a terminal, and the only place that imports Rich."""
