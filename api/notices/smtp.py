"""Mail over SMTP."""

import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from typing import Literal

from api.notices import Away, Later, Message, Refused
from api.settings import Settings

FORM = SMTP.clone(max_line_length=998)
"""Headers are not folded: a link that is, is none any more for many mail programs."""
SECONDS = 20.0
"""What each step of a conversation with the server may take."""
OF_US = (421, 530)
"""Codes by which a server says that it takes nothing from us now: it ends, or wants to know who we are."""
OF_MESSAGE = (552, 555)
"""Codes by which it says no to the sender because of the message: it is too large, or in letters that it does not know."""


class Smtp:
    """Sends mail.

    Parameters
    ----------
    tls
        `starttls`, `tls` from the first byte, or `none`.
    user, password
        Who we are to the server, where it asks.
    sender
        Who mail comes from: `The Shop <orders@shop.example>`.
    context
        Whose certificates are believed; those that the system believes where not said.
    """

    def __init__(
        self, host: str, port: int, sender: str, *, tls: Literal["starttls", "tls", "none"] = "starttls",
        user: str | None = None, password: str = "", context: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        name, spec = parseaddr(sender)
        self._host, self._port, self._tls, self._user, self._password = host, port, tls, user, password
        self._from = Address(name, addr_spec=spec)
        self._context = context or ssl.create_default_context()

    @classmethod
    def of(cls, settings: Settings) -> "Smtp":
        assert settings.smtp_host is not None, "it is on"
        assert settings.smtp_from is not None, "settings were checked"
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else ""
        return cls(settings.smtp_host, settings.smtp_port, settings.smtp_from, tls=settings.smtp_tls,
                   user=settings.smtp_user, password=password)  # fmt: skip

    def takes(self, contact: str) -> bool:
        """Whether it is the address of a mailbox, and of one alone."""
        return _address(contact) is not None

    def send(self, message: Message) -> None:
        """Hand a message to the server."""
        to = _address(message.contact, message.name)
        if to is None:
            raise Refused("no_mailbox")
        try:
            mail = self._mail(message, to)
        except (ValueError, MessageError, UnicodeError) as error:
            raise Refused("no_mail") from error
        server = self._connected()
        try:
            server.send_message(mail, self._from.addr_spec, [to.addr_spec])
        except smtplib.SMTPRecipientsRefused as error:
            raise _said(next(iter(error.recipients.values()))[0]) from None  # the error names the recipient
        except smtplib.SMTPNotSupportedError:
            raise Refused("not_supported") from None
        except smtplib.SMTPSenderRefused as error:
            raise _said(error.smtp_code, of_sender=True) from None
        except smtplib.SMTPDataError as error:
            raise _said(error.smtp_code) from None
        except (smtplib.SMTPException, OSError):
            raise Away("no_connection") from None
        finally:
            _leave(server)

    def _connected(self) -> smtplib.SMTP:
        """A conversation in which mail may be handed over. Raises Away."""
        try:
            return self._open()
        except smtplib.SMTPNotSupportedError:
            raise Away("no_starttls_or_login") from None
        except smtplib.SMTPAuthenticationError:
            raise Away("not_let_in") from None
        except (smtplib.SMTPException, OSError):
            raise Away("no_connection") from None

    def _open(self) -> smtplib.SMTP:
        if self._tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=SECONDS, context=self._context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=SECONDS)
        try:
            if self._tls == "starttls":
                server.starttls(context=self._context)
            if self._user is not None:
                server.login(self._user, self._password)
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: Message, to: Address) -> EmailMessage:
        mail = EmailMessage(FORM)
        headers: Mapping[str, str | Address] = {
            "From": self._from,
            "To": to,
            "Subject": " ".join(message.subject.split()),
            "Date": formatdate(message.at / 1000),
            "Message-ID": f"<{message.id}@{self._from.domain}>",
            "Auto-Submitted": "auto-generated",
            "List-Unsubscribe": f"<{message.unsubscribe}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        for name, value in headers.items():
            mail[name] = value
        mail.set_content(message.text)
        mail.add_alternative(message.html, subtype="html")
        return mail


def _address(contact: str, name: str = "") -> Address | None:
    """A mailbox, or nothing: no list, no group, nothing that could end a header."""
    if not contact.isprintable() or any(one in contact for one in " ,;<>\"'()[]\\") or contact.count("@") != 1:
        return None
    try:
        address = Address(" ".join(name.split()), addr_spec=contact)
    except (ValueError, IndexError, MessageError):
        return None
    return address if address.username and "." in address.domain.strip(".") else None


def _leave(server: smtplib.SMTP) -> None:
    """End a conversation; whatever the server says to that, what it took it has."""
    with suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()


def _said(code: int, *, of_sender: bool = False) -> Exception:
    """What a refusal with that code means: those of 500 and above stay, unless they are of us and not of the message."""
    if code in OF_US:
        return Away(f"refused_{code}")
    if of_sender and code not in OF_MESSAGE:
        return Away(f"sender_refused_{code}")
    return Refused(f"refused_{code}") if code >= 500 else Later(f"refused_{code}")
