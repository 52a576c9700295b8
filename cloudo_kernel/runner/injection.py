"""Chooses the inputs that become variables of a notebook, in the language of its kernel.

papermill writes `name = value` for each input without a check: one invalid name makes the whole cell a syntax error.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from papermill.exceptions import PapermillException
from papermill.translators import papermill_translators

from cloudo_kernel.errors import InputsInvalid

_LETTERS = r"[^\W\d]\w*"
#: Patterns of valid variable names, by the papermill translator that writes the cell.
_NAMES = {
    "RTranslator": r"_*([^\W\d_]|\.(?!\d))[\w.]*",  # the translator drops leading underscores
    "MatlabTranslator": r"[A-Za-z][A-Za-z0-9_]{0,62}",
    "BashTranslator": r"[A-Za-z_][A-Za-z0-9_]*",
    "PowershellTranslator": r"\w+",
}
#: Words of each language that cannot be assigned to: keywords and read-only variables.
_RESERVED = {
    "PythonTranslator": " ".join((*keyword.kwlist, "__debug__")),
    "RTranslator": "if else repeat while function for next break TRUE FALSE NULL Inf NaN NA in",
    "ScalaTranslator": "abstract case catch class def do else extends false final finally for forSome if implicit "
    "import lazy macro match new null object override package private protected return sealed super this throw trait "
    "true try type val var while with yield _",
    "JuliaTranslator": "baremodule begin break catch const continue do else elseif end export false finally for "
    "function global if import let local macro module quote return struct true try using while",
    "MatlabTranslator": "break case catch classdef continue else elseif end for function global if otherwise parfor "
    "persistent return spmd switch try while",
    "CSharpTranslator": "abstract as base bool break byte case catch char checked class const continue decimal default "
    "delegate do double else enum event explicit extern false finally fixed float for foreach goto if implicit in int "
    "interface internal is lock long namespace new null object operator out override params private protected public "
    "readonly ref return sbyte sealed short sizeof stackalloc static string struct switch this throw true try typeof "
    "uint ulong unchecked unsafe ushort using virtual void volatile while",
    "FSharpTranslator": "abstract and as assert base begin break class const default delegate do done downcast downto "
    "elif else end exception extern false finally fixed for fun function global if in inherit inline interface "
    "internal lazy let match member module mutable namespace new not null of open or override private public rec "
    "return sig static struct then to true try type upcast use val void when while with yield parallel process "
    "protected pure sealed tailcall trait virtual component constraint include mixin checked atomic constructor",
    "PowershellTranslator": "true false null error home host pid pshome psversiontable psculture psuiculture shellid "
    "executioncontext",
    "BashTranslator": "BASHOPTS BASH_VERSINFO EUID PPID SHELLOPTS UID",
}


def variables(inputs: Mapping[str, Any], kernel_name: str, language: str) -> dict[str, Any]:
    """Return the inputs whose names are valid variables in the kernel; all of them if papermill does not know it.

    Raises `InputsInvalid` if papermill cannot write a value in the language.
    """
    try:
        translator = papermill_translators.find_translator(kernel_name, language)
    except PapermillException:
        return dict(inputs)  # papermill itself refuses them with an error that names the kernel
    found = {}
    for name, value in inputs.items():
        if not _is_variable(name, translator.__name__):
            continue
        try:
            translator.translate(value)
        except NotImplementedError as error:
            what = "None" if value is None else type(value).__name__
            raise InputsInvalid(
                f"The input {name!r} is a {what}, which papermill cannot write in {language}.", field=name
            ) from error
        found[name] = value
    return found


def _is_variable(name: str, translator: str) -> bool:
    plain = name
    match translator:
        case "PythonTranslator":
            plain = unicodedata.normalize("NFKC", name)  # as Python itself reads it
        case "RTranslator":
            plain = name.lstrip("_")
        case "PowershellTranslator":
            plain = name.lower()
    is_name = name.isidentifier() if translator == "PythonTranslator" else _pattern(translator).fullmatch(name)
    return bool(is_name) and plain not in _RESERVED.get(translator, "").split()


def _pattern(translator: str) -> re.Pattern[str]:
    return re.compile(_NAMES.get(translator, _LETTERS))
