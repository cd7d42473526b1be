"""Sans-I/O core: bytes in, values out. No await, no clock, no open(); every transport drives it the same way."""
