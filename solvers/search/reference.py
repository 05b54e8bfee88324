"""Named tuples of arrays and numbers passed to compiled code by reference.

A tuple of fifty arrays passed by value costs the compiler minutes and every call hundreds of arguments; a reference
costs one pointer. The arrays are shared: what a kernel writes is seen through the tuple.

Numba's own structures count every access to a field, twice and atomically, which took nine tenths of the time of the
kernels. Here a reference is the address of a table of words that holds, one field after another, a number or an
array's address, shape and strides. Compiled code borrows: nothing is counted, so that a `Reference` has to outlive
the calls it is given to, and no kernel may return a field or keep it.
"""

import struct
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import models
from numba.np import arrayobj

WORD_BITS = 64
_numba: Any = numba  # without annotations
_arrayobj: Any = arrayobj
_extending: Any = extending
_lower: Any = lower_getattr_generic
Words = TypeVar("Words", bound=tuple[Any, ...])


def refer(value: Words) -> Words:
    """A named tuple as kernels take it: with the same fields."""
    return cast("Words", Reference(value))


class Reference:
    """A named tuple as compiled code sees it."""

    def __init__(self, value: Any) -> None:
        self.value = value  # keeps the arrays alive
        self.kind = ReferenceType(tuple((name, _numba.typeof(each)) for name, each in value._asdict().items()))
        words = [word for each in value for word in _words(each)]
        self.table = np.array(words, np.int64)
        self.address = self.table.ctypes.data


class ReferenceType(types.Type):
    """Numba's type of a reference: its fields by name."""

    def __init__(self, fields: tuple[tuple[str, types.Type], ...]) -> None:
        self.fields = fields
        self.place: dict[str, int] = {}
        at = 0
        for name, kind in fields:
            self.place[name] = at
            at += _length(kind)
        super().__init__(name=f"Reference({', '.join(f'{name}: {kind}' for name, kind in fields)})")

    def kind_of(self, name: str) -> types.Type | None:
        return next((kind for field, kind in self.fields if field == name), None)


def _length(kind: types.Type) -> int:
    """Words of a field."""
    return 1 + 2 * kind.ndim if isinstance(kind, types.Array) else 1


def _words(value: Any) -> list[int]:
    """The words of a field: a number, or an array's address, shape and strides."""
    if isinstance(value, np.ndarray):
        return [value.ctypes.data, *value.shape, *value.strides]
    if isinstance(value, float):
        return [int(struct.unpack("<q", struct.pack("<d", value))[0])]
    return [int(value)]


@_extending.typeof_impl.register(Reference)
def _typeof(value: Reference, _: Any) -> ReferenceType:
    return value.kind


@_extending.register_model(ReferenceType)
class _Model(models.PrimitiveModel):
    """An address."""

    def __init__(self, manager: Any, kind: ReferenceType) -> None:
        super().__init__(manager, kind, ir.IntType(WORD_BITS).as_pointer())  # type: ignore[no-untyped-call]


@_extending.unbox(ReferenceType)
def _unbox(_: ReferenceType, value: Any, c: Any) -> Any:
    number = c.pyapi.object_getattr_string(value, "address")
    address = c.pyapi.long_as_longlong(number)
    c.pyapi.decref(number)
    return _extending.NativeValue(c.builder.inttoptr(address, ir.IntType(WORD_BITS).as_pointer()))


@infer_getattr
class _Attributes(AttributeTemplate):
    key = ReferenceType

    def generic_resolve(self, kind: ReferenceType, name: str) -> Any:  # type: ignore[override]
        return kind.kind_of(name)


@_lower(ReferenceType)
def _field(context: Any, builder: Any, kind: ReferenceType, value: Any, name: str) -> Any:
    """Load a field; its words never change, so that the compiler may keep them."""
    field = kind.kind_of(name)
    at = kind.place[name]

    def word(k: int) -> Any:
        loaded = builder.load(builder.gep(value, [ir.Constant(ir.IntType(32), at + k)]))
        loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
        return loaded

    if not isinstance(field, types.Array):
        whole = context.get_value_type(field)
        return builder.bitcast(word(0), whole) if isinstance(field, types.Float) else builder.trunc(word(0), whole)
    array = _arrayobj.make_array(field)(context, builder)
    pointer = context.get_data_type(field.dtype).as_pointer()
    _arrayobj.populate_array(
        array,
        data=builder.inttoptr(word(0), pointer),
        shape=[word(1 + k) for k in range(field.ndim)],
        strides=[word(1 + field.ndim + k) for k in range(field.ndim)],
        itemsize=context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(field.dtype))),
        meminfo=None,
    )
    return array._getvalue()
