"""Many small requests as few large pieces of work: whatever gathers while a thread works is its next piece."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from api.http.problems import Refused

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Batcher(Generic[Asked, Answer]):
    """Gathers what is asked one by one, and has it done together.

    Parameters
    ----------
    work
        Does some at once, in a thread of its own, and gives the answers in their order. Where it raises, all of them failed.
    most
        Taken together, at most.
    waiting
        Asked and not begun, at most; who comes then is told to come back.
    """

    def __init__(
        self, name: str, work: Callable[[Sequence[Asked]], Sequence[Answer | BaseException]], most: int, waiting: int
    ) -> None:
        self._name, self._work, self._most = name, work, most
        self._asked: asyncio.Queue[tuple[Asked, asyncio.Future[Answer]]] = asyncio.Queue(waiting)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def do(self, asked: Asked) -> Answer:
        """Have one done, with whatever else is there.

        Raises
        ------
        Refused
            Too many wait already.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            self._asked.put_nowait((asked, answer))
        except asyncio.QueueFull:
            raise Refused("overloaded", "too much is waiting; ask again", {"Retry-After": "1"}) from None
        return await answer

    async def stop(self) -> None:
        """Finish what was asked and end."""
        await self._asked.join()
        if self._task:
            self._task.cancel()
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            gathered = [await self._asked.get()]
            while len(gathered) < self._most and not self._asked.empty():
                gathered.append(self._asked.get_nowait())
            answers: Sequence[Answer | BaseException]
            try:
                answers = await loop.run_in_executor(self._thread, self._work, [asked for asked, _ in gathered])
                assert len(answers) == len(gathered), "an answer for each"
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # nobody may wait for ever, whatever it was
                answers = [error] * len(gathered)
            for (_, waiting), answer in zip(gathered, answers, strict=True):
                self._asked.task_done()
                if waiting.done():  # whoever asked has gone
                    continue
                if isinstance(answer, BaseException):
                    waiting.set_exception(answer)
                else:
                    waiting.set_result(answer)
