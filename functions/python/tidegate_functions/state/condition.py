"""Whether a condition of `duration_in` holds for a value: comparisons and arithmetic of docs/expressions.md. They mean the same in Python,
so that Python's own parser reads them; what is not in the list below is left unanswered rather than guessed."""

from __future__ import annotations

import ast
import math
import operator

LENGTH_MAX = 1_000
COMPARE = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne}
ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


class Unknown(Exception):
    """More of the language than is known here."""


def holds(condition: str, value: float) -> bool:
    """Raises `ZeroDivisionError` where the condition has no result, `Unknown` where it cannot be read here."""
    try:
        if len(condition) > LENGTH_MAX:
            raise Unknown(condition)
        tree = ast.parse(condition.replace("&&", " and ").replace("||", " or ").strip(), mode="eval").body
        result = answer(tree, value)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unknown(condition) from None
    if not isinstance(result, bool):
        raise Unknown(condition)
    return result


def answer(node: ast.expr, value: float):
    if isinstance(node, ast.BoolOp):
        parts = (truth(answer(part, value)) for part in node.values)
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not truth(answer(node.operand, value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -number(answer(node.operand, value))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARE:
        sides = number(answer(node.left, value)), number(answer(node.comparators[0], value))
        return COMPARE[type(node.ops[0])](*sides)
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        result = ARITHMETIC[type(node.op)](number(answer(node.left, value)), number(answer(node.right, value)))
        if not math.isfinite(result):
            raise ZeroDivisionError
        return result
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)
    if isinstance(node, ast.Name) and node.id == "value":
        return value
    raise Unknown(ast.dump(node))


def number(result) -> float:
    if isinstance(result, bool):
        raise Unknown("a condition is no number")
    return result


def truth(result) -> bool:
    if not isinstance(result, bool):
        raise Unknown("a number is no condition")
    return result
