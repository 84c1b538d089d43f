# SPDX-License-Identifier: MIT
"""The runtime's encoder through liblf.so: sentence embeddings with an adapter, or with what lfctl train has learned of a pool."""

import ctypes
import json
import pathlib

import numpy


class Error(ctypes.Structure):
    """struct lf_error"""
    _fields_ = [("code", ctypes.c_int), ("text", ctypes.c_char * 512)]


class EncoderOptions(ctypes.Structure):
    """struct lf_encoder_options"""
    _fields_ = [("directory", ctypes.c_char_p), ("name", ctypes.c_char_p),
                ("batch_sequences", ctypes.c_uint32), ("sequence_tokens", ctypes.c_uint32),
                ("threads", ctypes.c_uint32), ("simd", ctypes.c_char_p)]


class Batch(ctypes.Structure):
    """struct lf_batch"""
    _fields_ = [("sequences", ctypes.c_uint32), ("start", ctypes.POINTER(ctypes.c_uint32)),
                ("tokens", ctypes.POINTER(ctypes.c_uint32))]


class Modules(ctypes.Structure):
    """struct lf_pool_modules"""
    _fields_ = [("directories", ctypes.c_void_p), ("count", ctypes.c_uint32)]


class Runtime:
    """A model on a device of this process, and its pool if it has one."""

    TOKENS = 64

    def __init__(self, library, model, device, pool=None):
        self.lib = ctypes.CDLL(str(library))
        self.model, self.error = str(model).encode(), Error()
        self.device, self.encoder, self.pool = (ctypes.c_void_p() for _ in range(3))
        self.call("lf_device_open", device.encode(), ctypes.byref(self.device))
        self.call("lf_encoder_deploy", self.device, self.model, b"model", 0o444, None, None, None)
        options = EncoderOptions(self.model, b"model", 2, self.TOKENS, 0, None)
        self.call("lf_encoder_open", self.device, ctypes.byref(options), ctypes.byref(self.encoder))
        if pool:
            modules = Modules()
            self.call("lf_pool_modules_find", str(pool).encode(), 0, ctypes.c_uint64(0),
                      ctypes.byref(modules))
            self.call("lf_pool_deploy", self.device, self.model, b"model", ctypes.byref(modules), 0o444,
                      None, None, None)
            self.call("lf_pool_open", self.encoder, ctypes.byref(modules), ctypes.byref(self.pool))

    def call(self, name, *arguments):
        """A function that returns 0 or an error."""
        if getattr(self.lib, name)(*arguments, ctypes.byref(self.error)):
            raise OSError("%s: %s" % (name, self.error.text.decode()))

    def embed(self, method, sentences):
        """[sentences][hidden] of lists of token ids; None is the model alone."""
        hook = ctypes.c_void_p()
        if method is None:
            self.call("lf_encoder_attach", self.encoder, hook, ctypes.c_bool(False))
        else:
            self.call("lf_method_prepare", method)
            self.call("lf_method_attach", method, ctypes.c_bool(False))
        rows = []
        for ids in sentences:
            start = (ctypes.c_uint32 * 2)(0, len(ids))
            tokens = (ctypes.c_uint32 * len(ids))(*ids)
            row = numpy.zeros(self.hidden(), dtype=numpy.float32)
            self.call("lf_encoder_forward", self.encoder, ctypes.byref(Batch(1, start, tokens)),
                      row.ctypes.data_as(ctypes.c_void_p))
            rows.append(row)
        self.call("lf_encoder_attach", self.encoder, hook, ctypes.c_bool(False))
        if method is not None:
            self.lib.lf_method_free(method)
        return numpy.stack(rows)

    def hidden(self):
        """Numbers of an embedding; the configuration begins with it."""
        return json.loads((pathlib.Path(self.model.decode()) / "config.json").read_text())["hidden_size"]

    def adapter(self, directory):
        """LoRA or DoRA of a PEFT directory."""
        method = ctypes.c_void_p()
        self.call("lf_lora_read", self.encoder, str(directory).encode(), ctypes.byref(method))
        return method

    def fusion(self, path, task, merge):
        """LoRAFusion of the pool with what lfctl train wrote."""
        method, head, checkpoint = (ctypes.c_void_p() for _ in range(3))
        tokenizer, labels = ctypes.c_void_p(), ctypes.c_void_p()
        # Its first field is the merge; there is room for those behind it.
        options = ctypes.create_string_buffer(256)
        self.lib.lf_lorafusion_defaults(options)
        options[0] = 1 if merge == "product" else 0
        self.call("lf_lorafusion_create", self.encoder, self.pool, options, ctypes.byref(method))
        self.call("lf_tokenizer_open", ctypes.byref(tokenizer), self.model)
        self.call("lf_label_set_read", ctypes.byref(labels), str(task / "labels.json").encode())
        self.call("lf_head_cosine", self.encoder, tokenizer, labels, ctypes.c_double(0.05),
                  ctypes.byref(head))
        self.call("lf_checkpoint_open", ctypes.byref(checkpoint), str(path).encode())
        self.call("lf_adaptation_load", checkpoint, method, head)
        return method
