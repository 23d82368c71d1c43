"""Ids in paths, with examples that are there in the example network; and in queries."""

from typing import Annotated

from fastapi import Path, Query

from api.http.values import PLAIN

CalendarId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["daily"])]
ChannelId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["web"])]
ConnectionId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["shopify-example"])]
ConsignmentId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["con_example"])]
LabelledId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["con_labelled"])]
"""Of a consignment that has a label."""
EventId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["evt_example"])]
HoldId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["hold-example"])]
IssueId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["iss_example"])]
InvoiceId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["inv_example"])]
InvoicedId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["con_priced"])]
"""Of a consignment that has left, whose lines have prices."""
NodeId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["near"])]
OrderId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["ord_example"])]
RecipientId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["cus-example"])]
ReturnId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["rma_example"])]
ServiceId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["ground"])]
SkuId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["kettle"])]
WaveId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["wav_example"])]
WebhookId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["whk_example"])]
SomeId = Annotated[str, Query(max_length=200, pattern=PLAIN)]
"""An id of anything, by which a list is narrowed."""
