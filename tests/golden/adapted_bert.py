# SPDX-License-Identifier: MIT
"""BERT with adapted linear layers, every linear layer read from a device, and what adapts them.

The reference of the runtime's training. Gradients come from autograd alone; no formula
of the runtime is repeated. What a device makes of a vector is written from the number
formats in uapi/lf/lf_hw.h.
"""

import torch

import bert_reference

KINDS = ("attention.self.query", "attention.self.key", "attention.self.value",
         "attention.output.dense", "intermediate.dense", "output.dense")


def layer_paths(layers, kinds=KINDS):
    """Paths of the linear layers in the order of the runtime's index."""
    return ["encoder.layer.%d.%s" % (layer, kind) for layer in range(layers)
            for kind in KINDS if kind in kinds]


class FloatMatrix:
    """A weight [out, in] in fp32 cells."""

    def __init__(self, weight):
        self.values = weight

    def forward(self, x):
        """x [tokens, in] to [tokens, out]."""
        return x @ self.values.T

    def transposed(self, dy):
        """dy [tokens, out] to [tokens, in]."""
        return dy @ self.values


class Int8Matrix:
    """A weight [out, in] in int8 cells, one scale for every output, read with int8 vectors."""

    def __init__(self, weight):
        weight = weight.float()
        self.scale = weight.abs().amax(1) / 127
        steps = torch.round(weight / self.scale.clamp_min(1e-37)[:, None])
        self.cells = steps.double()
        self.values = (steps * self.scale[:, None]).double()

    @staticmethod
    def drive(x):
        """Integers and step of vectors: absmax / 127 in fp32, half to even."""
        absmax = x.abs().amax(-1, keepdim=True)
        alive = absmax >= 2.0 ** -100
        inverse = torch.where(alive, 127 / absmax, torch.zeros(()))
        step = torch.where(alive, absmax / 127, torch.zeros(()))
        return torch.round(x * inverse).clamp(-127, 127), step

    def forward(self, x):
        """x [tokens, in] to [tokens, out]."""
        steps, step = self.drive(x.float())
        return ((steps.double() @ self.cells.T).float() * step * self.scale).double()

    def transposed(self, dy):
        """dy [tokens, out] to [tokens, in]."""
        steps, step = self.drive(dy.float() * self.scale)
        return ((steps.double() @ self.cells).float() * step).double()


MATRICES = {"float": FloatMatrix, "ideal": Int8Matrix}


class Read(torch.autograd.Function):
    """A read of a matrix; the gradient is a transposed read (straight through the quantiser)."""

    @staticmethod
    def forward(ctx, x, matrix):
        ctx.matrix = matrix
        return matrix.forward(x)

    @staticmethod
    def backward(ctx, dy):
        return ctx.matrix.transposed(dy), None


class DeviceBert(bert_reference.Bert):
    """The frozen model; remembers the inputs of its linear layers, sentence by sentence."""

    def __init__(self, config, tensors, device):
        self.config = config
        self.tensors = tensors
        self.matrices = {path: device(tensors[path + ".weight"])
                         for path in layer_paths(config["num_hidden_layers"])}
        self.inputs = {path: [] for path in self.matrices}
        self.adapters = {}

    def linear(self, x, name):
        if x.requires_grad:
            x.retain_grad()
        self.inputs[name].append(x)
        bias = self.tensors[name + ".bias"]
        if name in self.adapters:
            return self.adapters[name](x, self.matrices[name], bias)
        return Read.apply(x, self.matrices[name]) + bias

    def input_gradient(self, name):
        """Gradient to a layer's input over all sentences, [tokens, in]."""
        return torch.cat([x.grad for x in self.inputs[name]])


class FusedLayer:
    """W0 x + dW x with the modules of a pool, scaled to magnitudes by a detached norm.

    modules: [(A [r, in], B [out, r], scale)]; coefficients [N], magnitudes [out], or None to leave
    the sum as it is.
    """

    def __init__(self, weight, modules, product, device, coefficients, magnitudes):
        self.rank = modules[0][0].shape[0]
        self.product = product
        self.coefficients = coefficients
        self.magnitudes = magnitudes
        self.a = device(torch.cat([a for a, _, _ in modules]))
        self.b = device(torch.cat([b * scale for _, b, scale in modules], 1))
        self.norms = self.row_norms(weight).detach()

    def row_norms(self, weight):
        """|| W0 + dW || of every row, from the dense dW."""
        c = self.coefficients.detach()
        a = self.a.values.reshape(len(c), self.rank, -1)
        b = self.b.values.reshape(-1, len(c), self.rank)
        if self.product:
            delta = torch.einsum("i,oik->ok", c, b) @ torch.einsum("i,ikx->kx", c, a)
        else:
            delta = torch.einsum("i,oik,ikx->ox", c, b, a)
        return (weight + delta).norm(dim=1)

    def fuse(self, z):
        """The modules' shares of A x, [tokens, N r]."""
        groups = z.reshape(len(z), len(self.coefficients), self.rank)
        if self.product:
            groups = torch.einsum("i,tik->tk", self.coefficients, groups)[:, None]
        return (self.coefficients[None, :, None] * groups).reshape(z.shape)

    def __call__(self, x, matrix, bias):
        fused = self.fuse(Read.apply(x, self.a))
        h = Read.apply(x, matrix) + Read.apply(fused, self.b)
        return (h if self.magnitudes is None else self.magnitudes / self.norms * h) + bias


class LoraLayer:
    """W0 x + scale B A x, A and B in the host's memory."""

    def __init__(self, a, b, scale):
        self.a, self.b, self.scale = a, b, scale

    def __call__(self, x, matrix, bias):
        return Read.apply(x, matrix) + self.scale * (x @ self.a.T) @ self.b.T + bias


class ReadTrained(torch.autograd.Function):
    """A read of a matrix that is trained: its weight's gradient passes the rounding to levels."""

    @staticmethod
    def forward(ctx, x, weight, device):
        ctx.matrix = device(weight.detach())
        ctx.save_for_backward(x)
        return ctx.matrix.forward(x)

    @staticmethod
    def backward(ctx, dy):
        x, = ctx.saved_tensors
        return ctx.matrix.transposed(dy), dy.T @ x, None


class PlacedLoraLayer:
    """W0 x + (scale B) A x, A and scale B on crossbars."""

    def __init__(self, a, b, scale, device):
        self.a, self.b, self.scale, self.device = a, b, scale, device

    def __call__(self, x, matrix, bias):
        z = ReadTrained.apply(x, self.a, self.device)
        added = ReadTrained.apply(z, self.scale * self.b, self.device)
        return Read.apply(x, matrix) + added + bias


class DoraLayer:
    """m / n (W0 x + scale B A x), n the detached norm of the rows of W0 + scale B A."""

    def __init__(self, weight, a, b, scale, magnitudes):
        self.a, self.b, self.scale, self.magnitudes = a, b, scale, magnitudes
        self.norms = (weight + scale * b @ a).norm(dim=1).detach()

    def __call__(self, x, matrix, bias):
        h = Read.apply(x, matrix) + self.scale * (x @ self.a.T) @ self.b.T
        return self.magnitudes / self.norms * h + bias


class MagnitudeLayer:
    """m / n (W0 x), n the norm of the rows of W0."""

    def __init__(self, weight, magnitudes):
        self.magnitudes, self.norms = magnitudes, weight.norm(dim=1)

    def __call__(self, x, matrix, bias):
        return self.magnitudes / self.norms * Read.apply(x, matrix) + bias


class BiasLayer:
    """W0 x with another bias."""

    def __init__(self, bias):
        self.bias = bias

    def __call__(self, x, matrix, bias):
        return Read.apply(x, matrix) + self.bias


class Ia3Layer:
    """Outputs, bias included, or inputs times scales."""

    def __init__(self, scales, of_input):
        self.scales, self.of_input = scales, of_input

    def __call__(self, x, matrix, bias):
        if self.of_input:
            return Read.apply(self.scales * x, matrix) + bias
        return self.scales * (Read.apply(x, matrix) + bias)


class VeraLayer:
    """W0 x + b * (B (d * (A x))), A and B not trained."""

    def __init__(self, a, b, scale_d, scale_b):
        self.a, self.b, self.scale_d, self.scale_b = a, b, scale_d, scale_b

    def __call__(self, x, matrix, bias):
        z = self.scale_d * (x @ self.a.T)
        return Read.apply(x, matrix) + self.scale_b * (z @ self.b.T) + bias


class FullLayer:
    """A weight and a bias that are trained; device is None for a dense product of the host."""

    def __init__(self, weight, bias, device):
        self.weight, self.bias, self.device = weight, bias, device

    def __call__(self, x, matrix, bias):
        if self.device is None:
            return x @ self.weight.T + self.bias
        return ReadTrained.apply(x, self.weight, self.device) + self.bias
