"""Does a change touch loading code, and which architectures does it affect?"""
