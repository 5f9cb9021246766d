"""Does a model survive `from_pretrained` and `save_pretrained` under DeepSpeed ZeRO-3, value by value, on every rank?"""
