"""What `optbench init` finds in an optimizer library's repository, and what it puts there."""

from optbench.scaffold.changes import Change, ScaffoldError, write
from optbench.scaffold.drafts import Draft, draft

__all__ = ["Change", "Draft", "ScaffoldError", "draft", "write"]
