"""How input is refused: one line that names the place, the value and what is allowed."""


class Refusal(ValueError):
    """Expected bad input: reaches the caller as one line, never as a traceback.

    Parameters
    ----------
    place
        Where the fault is, as a path into the file (``orders[3].lines[0].qty``).
    problem
        What is wrong there, and what is allowed.
    code
        Stable name of the kind of refusal, part of the public interface.
    """

    def __init__(self, place: str, problem: str, code: str = "bad_input") -> None:
        self.place = place
        self.problem = problem
        self.code = code
        super().__init__(" ".join(f"{place}: {problem}".splitlines()))

    def __reduce__(self) -> tuple[type["Refusal"], tuple[str, str, str]]:
        """Let it reach the caller from another process, too."""
        return Refusal, (self.place, self.problem, self.code)
