"""The code that Jinja makes of a template."""

from collections.abc import Iterable

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, DependencyFinderVisitor


class Code(CodeGenerator):
    """Without precautions against filters and tests that do not exist, which are a third of the code of a short text:
    `check` has refused templates that name one."""

    def pull_dependencies(self, nodes: Iterable[nodes.Node]) -> None:
        """Have the filters and tests of these parts at hand when the code runs."""
        used = DependencyFinderVisitor()
        for node in nodes:
            used.visit(node)
        for kind, names, known in (("filters", used.filters, self.filters), ("tests", used.tests, self.tests)):
            for name in sorted(names):
                known.setdefault(name, self.temporary_identifier())
                self.writeline(f"{known[name]} = environment.{kind}[{name!r}]")
