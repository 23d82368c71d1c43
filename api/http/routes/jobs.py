"""Jobs: how far they are, what they refused, what they gave."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from api.http.door import Route, access
from api.http.pages import After, Limit, page, read_cursor
from api.http.service import Called
from api.http.values import PLAIN, Json, Shown, ShownMoment
from api.keys import ENGINEER, OPERATOR, PLANNER
from api.moments import moment
from engine import jobs
from engine.jobs import Job

router = APIRouter(tags=["jobs"], route_class=Route)
JobId = Annotated[str, Path(max_length=200, pattern=PLAIN, examples=["job_example"])]
State = Literal["waiting", "running", "done", "failed", "cancelled"]
LOOK = 0.5
"""Seconds between looks at a job that is watched."""


class ShownJob(Shown):
    """Long work: an import, or a large wave to solve."""

    id: str
    kind: str
    state: State
    done: int
    total: int
    failed: int
    note: str
    created_at: ShownMoment
    started_at: ShownMoment | None
    ended_at: ShownMoment | None


class Jobs(Shown):
    """A page of jobs."""

    data: list[ShownJob]
    next: str | None


def shown(job: Job) -> dict[str, Any]:
    """A job as answers have it."""
    return {
        "id": job.id, "kind": job.kind, "state": job.state, "done": job.done, "total": job.total,
        "failed": job.failed, "note": job.note, "created_at": moment(job.created_at),
        "started_at": moment(job.started_at), "ended_at": moment(job.ended_at),
    }  # fmt: skip


def accepted(job: Job) -> Json:
    """The answer to a request that became a job."""
    return Json(shown(job), 202, {"Location": f"/v1/jobs/{job.id}"})


@router.get("/jobs", operation_id="list_jobs", response_model=Jobs)
@access(OPERATOR, PLANNER, ENGINEER)
async def list_jobs(
    call: Called,
    request: Request,
    limit: Limit = 50,
    after: After = None,
    state: Annotated[State | None, Query()] = None,
) -> Response:
    """List jobs, the newest first."""
    last = read_cursor(after, int)
    found = await call.service.read(lambda tx: jobs.listed(tx, last[0] if last else None, limit + 1, state))
    return page(request, found, limit, shown, lambda job: (job.no,))


@router.get("/jobs/{job}", operation_id="get_job", response_model=ShownJob)
@access(OPERATOR, PLANNER, ENGINEER)
async def get_job(call: Called, job: JobId) -> Response:
    """Say how far a job is."""
    return Json(shown(await call.service.read(lambda tx: jobs.get(tx, job))))


@router.get(
    "/jobs/{job}/errors",
    operation_id="get_job_errors",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
@access(OPERATOR, PLANNER, ENGINEER)
async def get_job_errors(call: Called, job: JobId) -> Response:
    """One line of JSON for each line of the input that was refused: its number, and why."""
    lines = await call.service.read(lambda tx: jobs.errors_of(tx, job))
    return Response(lines, media_type="application/x-ndjson")


@router.get("/jobs/{job}/result", operation_id="get_job_result", response_class=Response,
            responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}})  # fmt: skip
@access(OPERATOR, PLANNER, ENGINEER)
async def get_job_result(call: Called, job: JobId) -> Response:
    """What a job gave: the plan of a solved wave."""
    return Response(await call.service.read(lambda tx: jobs.result_of(tx, job)), media_type="application/json")


@router.post("/jobs/{job}/cancel", operation_id="cancel_job", response_model=ShownJob)
@access(OPERATOR, PLANNER, ENGINEER, once="may")
async def cancel_job(call: Called, job: JobId) -> Response:
    """End a job at its next step. What it did stays done."""
    return Json(shown(await call.service.write(lambda tx: jobs.cancel(tx, call.at, job))))


async def _job_of(call: Called, job: JobId) -> Job:
    """The job, before the answer begins."""
    return await call.service.read(lambda tx: jobs.get(tx, job))


@router.get("/jobs/{job}/events", operation_id="watch_job", response_class=EventSourceResponse)
@access(OPERATOR, PLANNER, ENGINEER)
async def watch_job(call: Called, found: Annotated[Job, Depends(_job_of)]) -> AsyncIterator[ServerSentEvent]:
    """Follow a job: an event whenever it has come further, until it ends."""
    said: dict[str, Any] = {}
    while not call.service.draining:
        if shown(found) != said:
            said = shown(found)
            yield ServerSentEvent(data=said, event=found.state, id=str(found.done))
        if found.state in jobs.ENDED:
            return
        await asyncio.sleep(LOOK)
        found = await call.service.read(partial(jobs.get, id=found.id))
