"""Builds an ONNX graph operation by operation, and takes in modules that torch exports.

A `Value` is a tensor of the graph. Python's operators on values add operations, so that a formula reads like one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike
from onnx import helper, numpy_helper

from clothseg.networks.onnx.exported_module import OPSET, ExportedModule

IR_VERSION = 9
"""The oldest version of the file format that has the operators of `OPSET`."""

_INT64, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)
_RESULT = {
    **dict.fromkeys(("Shape", "NonZero", "ArgMax", "NonMaxSuppression"), _INT64),
    **dict.fromkeys(("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Not"), _BOOL),
}
"""Types of results that are not the type of the first input."""


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of a graph. An index `[start:stop]` cuts its first axis.

    Attributes:
        graph: that it belongs to.
        name: in the graph.
        dtype: of its elements.
    """

    graph: "Graph"
    name: str
    dtype: "np.dtype[Any]"

    def __add__(self, other: "Operand") -> "Value":
        return self.graph.op("Add", self, other)

    def __sub__(self, other: "Operand") -> "Value":
        return self.graph.op("Sub", self, other)

    def __mul__(self, other: "Operand") -> "Value":
        return self.graph.op("Mul", self, other)

    def __truediv__(self, other: "Operand") -> "Value":
        return self.graph.op("Div", self, other)

    def __neg__(self) -> "Value":
        return self.graph.op("Neg", self)

    def __lt__(self, other: "Operand") -> "Value":
        return self.graph.op("Less", self, other)

    def __le__(self, other: "Operand") -> "Value":
        return self.graph.op("LessOrEqual", self, other)

    def __gt__(self, other: "Operand") -> "Value":
        return self.graph.op("Greater", self, other)

    def __ge__(self, other: "Operand") -> "Value":
        return self.graph.op("GreaterOrEqual", self, other)

    def __and__(self, other: "Value") -> "Value":
        return self.graph.op("And", self, other)

    def __invert__(self) -> "Value":
        return self.graph.op("Not", self)

    def to(self, dtype: DTypeLike) -> "Value":
        """The same numbers in another type."""
        wanted = np.dtype(dtype)
        if wanted == self.dtype:
            return self
        return self.graph.op("Cast", self, dtype=wanted, to=helper.np_dtype_to_tensor_dtype(wanted))

    def at(self, index: int, axis: int = 0) -> "Value":
        """The part at one position of an axis, without that axis."""
        return self.graph.op("Gather", self, self.graph.const(index), axis=axis)

    def take(self, positions: "Value", axis: int = 0) -> "Value":
        """The parts at positions, int64 of any shape, of an axis."""
        return self.graph.op("Gather", self, positions, axis=axis)

    def part(self, start: "Operand", stop: "Operand", axis: int = 0) -> "Value":
        """The part from `start` to before `stop` of an axis; both are scalars."""
        graph = self.graph
        ends = [graph.vector([end]) for end in (start, stop)]
        return graph.op("Slice", self, *ends, graph.const([axis]))

    def reshape(self, *sides: "Operand") -> "Value":
        """The same elements in another shape; a side of -1 follows from the others."""
        return self.graph.op("Reshape", self, self.graph.vector(sides))

    def transpose(self, *axes: int) -> "Value":
        """The axes in another order."""
        return self.graph.op("Transpose", self, perm=list(axes))

    def unsqueeze(self, *axes: int) -> "Value":
        """With new axes of length 1."""
        return self.graph.op("Unsqueeze", self, self.graph.const(list(axes)))

    def side(self, axis: int) -> "Value":
        """The length of an axis, an int64 scalar."""
        return self.graph.op("Shape", self).at(axis)

    def sum(self, *axes: int, keepdims: bool = False) -> "Value":
        """The sum over axes."""
        return self.graph.op("ReduceSum", self, self.graph.const(list(axes)), keepdims=int(keepdims))

    def max(self, *axes: int, keepdims: bool = False) -> "Value":
        """The highest number over axes, which must not be empty."""
        return self.graph.op("ReduceMax", self, self.graph.const(list(axes)), keepdims=int(keepdims))

    def clip(self, low: "Operand | None" = None, high: "Operand | None" = None) -> "Value":
        """Numbers within limits, which are numbers or scalars."""
        answer = self if low is None else self.graph.op("Max", self, low)
        return answer if high is None else self.graph.op("Min", answer, high)


Number = int | float
Operand = Value | Number


class Graph:
    """An ONNX graph in the making."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._count = 0

    def input(self, name: str, dtype: DTypeLike, shape: Sequence[int | str]) -> Value:
        """An input of the model; a side may be a name, if it is not fixed."""
        kind = np.dtype(dtype)
        self._inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(kind), list(shape)))
        return Value(self, name, kind)

    def output(self, name: str, value: Value, shape: Sequence[int | str]) -> None:
        """Makes a value an output of the model."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name], name=name))
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        self._outputs.append(helper.make_tensor_value_info(name, kind, list(shape)))

    def const(self, value: ArrayLike, dtype: DTypeLike | None = None) -> Value:
        """A constant; whole numbers are int64 and others float32 unless `dtype` says otherwise."""
        array = np.asarray(value, dtype=dtype)
        if dtype is None and array.dtype == np.float64:
            array = array.astype(np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            name = self._name("constant")
            self._constants[name] = numpy_helper.from_array(np.array(array, order="C"), name)
            self._known[key] = Value(self, name, array.dtype)
        return self._known[key]

    def op(self, kind: str, *inputs: Operand, dtype: DTypeLike | None = None, **attributes: Any) -> Value:
        """Adds an operation with one output. Numbers among the inputs take the type of its first value.

        Args:
            kind: the name of the operator.
            inputs: in the order of the operator's definition.
            dtype: of the result; by default that of the first input, or what the operator always gives.
            attributes: of the operator.
        """
        return self.ops(kind, [dtype], *inputs, **attributes)[0]

    def ops(self, kind: str, dtypes: Sequence[DTypeLike | None], *inputs: Operand, **attributes: Any) -> list[Value]:
        """Adds an operation with as many outputs as `dtypes`; see `op`."""
        first = next(value for value in inputs if isinstance(value, Value))
        values = [value if isinstance(value, Value) else self.const(value, first.dtype) for value in inputs]
        default = _RESULT.get(kind, values[1 if kind == "Where" else 0].dtype)
        answers = [Value(self, self._name(kind), np.dtype(dtype) if dtype is not None else default) for dtype in dtypes]
        names, results = [value.name for value in values], [answer.name for answer in answers]
        # A node needs a name: onnxruntime 1.20 derives names of its own from it, and refuses the same one twice.
        self._nodes.append(helper.make_node(kind, names, results, name=results[0], **attributes))
        return answers

    def concat(self, values: Sequence[Value], axis: int = 0) -> Value:
        """Values one after the other."""
        return self.op("Concat", *values, axis=axis)

    def vector(self, numbers: Sequence[Operand]) -> Value:
        """Whole numbers and int64 scalars as one vector."""
        if not any(isinstance(number, Value) for number in numbers):
            return self.const(np.array(numbers, dtype=np.int64))
        parts = [n.reshape(1) if isinstance(n, Value) else self.const([n], np.int64) for n in numbers]
        return self.concat(parts) if len(parts) > 1 else parts[0]

    def arange(self, count: Operand, dtype: DTypeLike = np.int64) -> Value:
        """0, 1, ... to before `count`, an int64 scalar."""
        end = count if isinstance(count, Value) else self.const(count)
        return self.op("Range", self.const(0), end, self.const(1)).to(dtype)

    def where(self, condition: Value, value: Operand, other: Operand) -> Value:
        """`value` where the condition holds, else `other`; one of them must not be a number."""
        kind = next(v.dtype for v in (value, other) if isinstance(v, Value))
        pair = [v if isinstance(v, Value) else self.const(v, kind) for v in (value, other)]
        return self.op("Where", condition, *pair)

    def positions(self, condition: Value) -> Value:
        """The positions `[n]` int64 at which a vector of bool holds."""
        return self.op("NonZero", condition).reshape(-1)

    def top(self, values: Value, count: Value, axis: int = -1) -> tuple[Value, Value]:
        """The `count` highest values of an axis, best first, and their positions; of equal ones the first is better."""
        values, places = self.ops("TopK", [values.dtype, _INT64], values, count.reshape(1), axis=axis)
        return values, places

    def repeat(self, count: Value, start: Value, step: Callable[[Value, Value], Value]) -> Value:
        """Calls `step` in a loop of the graph with 0, 1, ... to before `count` and the result so far, from `start` on.

        The type and shape of the result stay as they are.
        """
        outside, self._nodes = self._nodes, []
        number, going, total = (
            Value(self, self._name("loop"), dtype) for dtype in (_INT64, _BOOL, start.dtype)
        )  # fmt: skip
        result = step(number, total)
        names = [self._name("loop"), self._name("loop")]
        self._nodes += [
            helper.make_node("Identity", [value.name], [name], name=name)
            for value, name in zip((going, result), names, strict=True)
        ]

        def infos(values: Sequence[Value], called: Sequence[str]) -> list[onnx.ValueInfoProto]:
            kinds = [helper.np_dtype_to_tensor_dtype(value.dtype) for value in values]
            shapes: list[list[int] | None] = [[]] * (len(values) - 1) + [None]
            return [helper.make_tensor_value_info(*info) for info in zip(called, kinds, shapes, strict=True)]

        inputs = (number, going, total)
        body = helper.make_graph(
            self._nodes, "step", infos(inputs, [v.name for v in inputs]), infos((going, total), names)
        )  # fmt: skip
        self._nodes = outside
        return self.op("Loop", count, self.const(True), start, dtype=start.dtype, body=body)

    def include(self, module: ExportedModule, inputs: Sequence[Value]) -> list[Value]:
        """Adds the operations of a module of torch; its results, in their order."""
        self._count += 1
        prefix = f"m{self._count}_"
        graph = module.model.graph
        names = {info.name: value.name for info, value in zip(graph.input, inputs, strict=True)}

        def renamed(name: str) -> str:
            return names.get(name, f"{prefix}{name}") if name else ""

        for tensor in graph.initializer:
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name = renamed(tensor.name)
            self._constants[copy.name] = copy
        for node in graph.node:
            added = onnx.NodeProto()
            added.CopyFrom(node)
            added.name = renamed(node.output[0])
            del added.input[:], added.output[:]
            added.input.extend(map(renamed, node.input))
            added.output.extend(map(renamed, node.output))
            self._nodes.append(added)
        kinds = [helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type) for info in graph.output]
        return [Value(self, renamed(info.name), kind) for info, kind in zip(graph.output, kinds, strict=True)]

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The whole model, checked."""
        graph = helper.make_graph(
            self._nodes, "clothseg", self._inputs, self._outputs, list(self._constants.values())
        )  # fmt: skip
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="clothseg"
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model)
        return model

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind.lower()}_{self._count}"
