"""PowerDNS with its GeoIP backend: users are told a site by what their resolver says of their network."""

from placement.feeds.powerdns.feed import PowerDns
from placement.feeds.powerdns.options import PowerDnsOptions

__all__ = ["PowerDns", "PowerDnsOptions"]
