"""Papers, as PDF: the label of a parcel, its packing slip, the pick list of a node, invoices and credit notes."""

from api.papers.invoice import print_invoice
from api.papers.label import print_label
from api.papers.letters import Letters
from api.papers.packing_slip import print_packing_slip
from api.papers.pick_list import print_pick_list

__all__ = ["Letters", "print_invoice", "print_label", "print_packing_slip", "print_pick_list"]
