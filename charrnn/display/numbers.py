"""Numbers and times as people read them."""

import math


def show_duration(seconds: float) -> str:
    """Return "42s", "3m07s", "2h05m" or "3d04h"."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def show_loss(nats: float | None, bits: float | None = None, words: bool = False) -> str:
    """Return nats per token, and bits per character where they are known; "-" for no loss.

    Of `words` also the perplexity, by which such models are compared.
    """
    if nats is None or not math.isfinite(nats):
        return "-"
    more = [f"perplexity {math.exp(min(nats, 700)):.4g}"] if words else []
    if bits is not None and math.isfinite(bits):
        more.append(f"{bits:.3f} bits/char")
    return f"{nats:.4f} ({', '.join(more)})" if more else f"{nats:.4f}"


def show_count(number: int) -> str:
    """Return "1,234", and from a million on "1.23M", "4.5G"."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if number >= size:
            return f"{number / size:.3g}{unit}" if number < 1000 * size else f"{number:.2e}"
    return f"{number:,}"


def show_rate(number: float) -> str:
    """Return a number per second: "850", "45.2k", "1.31M"."""
    if not math.isfinite(number):
        return "-"
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"
