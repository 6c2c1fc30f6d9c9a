"""The durable state: what is kept, as intents; the rows behind them stay in this package."""
