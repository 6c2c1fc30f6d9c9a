"""Templates: Jinja in a sandbox with a meter. Customers' text is data: escaped in Markdown, never evaluated.

`Templates` compiles the files of a directory and the texts in rules; `Template.render` gives the text of a reply or
raises `TemplateFault`; `compile_expression` compiles an `if:` condition.
"""

from bridge.templating.meter import Bounds
from bridge.templating.program import TemplateFault
from bridge.templating.sandbox import has_attribute
from bridge.templating.templates import Expression, Template, Templates, compile_expression

__all__ = ["Bounds", "Expression", "Template", "TemplateFault", "Templates", "compile_expression", "has_attribute"]
