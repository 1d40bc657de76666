/* The configuration: an immutable value read from one file (libconfuse syntax), checked as a
 * whole before anything uses it. The operator's manual of every key is docs/configuration.md.
 *
 * Reading collects every error, each as "FILE:LINE: what, and what was meant". A config is
 * shared by reference count: a reload makes a new one; who began with the old one ends with
 * it. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/names.h"
#include "base/units.h"
#include "queue/bounce.h"
#include "queue/retry.h"
#include "queue/spool.h"
#include "relay/outbound/rules.h"
#include "relay/resolve.h"
#include "relay/smtp/data.h"
#include "tlspolicy/policy.h"
#include "tlspolicy/tls.h"

#include <stdatomic.h>

#define CONFIG_TRUST_ANCHOR "/usr/share/dns/root.key" /* of the package dns-root-data */
#define CONFIG_WORKERS_MAX 256
#define CONFIG_OWN_MAX 256      /* of the machine's own addresses */
#define CONFIG_HOSTS_MAX 20     /* of a route: as many as are used of a domain's MX hosts */
#define CONFIG_SOURCES_MAX 64   /* addresses to connect from */
#define CONFIG_ADDRESSES_MAX 20 /* used of a host */
#define CONFIG_MATCHES_MAX 20   /* names, or digests, that a certificate is held against */
#define CONFIG_SCHEDULE_MAX 100 /* delays of a schedule */
#define CONFIG_USER_MAX 32      /* bytes of the name of a user of this machine */
#define CONFIG_SOCKET_MAX 107   /* bytes of a unix socket's path: sun_path less its NUL */

struct login;
struct users;

enum listen_tls {
    LISTEN_TLS_OFF,
    LISTEN_TLS_OFFERED,  /* STARTTLS is offered; the default when there is a certificate */
    LISTEN_TLS_REQUIRED, /* and until it is used nothing else goes (RFC 3207 4) */
    LISTEN_TLS_IMPLICIT, /* from the first byte on (RFC 8314) */
};

enum listen_auth {
    LISTEN_AUTH_OFF,
    LISTEN_AUTH_OFFERED,
    LISTEN_AUTH_REQUIRED, /* and until it is used nothing else goes (RFC 4954 4) */
};

struct listen_config { /* a `listen "ADDRESS:PORT"` section */
    struct endpoint at;
    enum listen_tls tls;
    const char *certificate, *key; /* files; NULL without TLS */
    enum newlines newlines;        /* bare-newlines = "refuse" | "normalise" */
    bool add_headers;              /* From, Date and Message-ID where they lack; default true */
    struct networks proxies;       /* proxy: they begin with a PROXY header; default: none */
    struct networks
        xclient_from;      /* they may say by XCLIENT who the client is; default: as config */
    enum listen_auth auth; /* default: off */
    bool auth_in_clear;    /* without TLS, too; default: false */
    const char *where;     /* "FILE:LINE", for what is found wrong with it later */
};

struct addresses { /* of this machine, to connect from */
    struct ip *list;
    unsigned count;
    const char *where; /* "FILE:LINE" */
};

struct next_hop_host { /* "[192.0.2.1]:2526", "mail1.example:587", "mx.example" (port: smtp-port, or
                          465) */
    const char *name;  /* NULL for an address */
    struct ip ip;
    uint16_t port;
};

#define PORT_UNSAID 0
#define PORT_SMTPS 465      /* TLS from the first byte on (RFC 8314 3.3) */
#define PORT_SUBMISSION 587 /* STARTTLS (RFC 6409) */

enum route_tls {
    ROUTE_TLS_BY_PORT, /* implicit at port 465; the default */
    ROUTE_TLS_STARTTLS,
    ROUTE_TLS_IMPLICIT, /* from the first byte on, and so never in clear */
};

enum route_fallback { /* where a host is to be reached by implicit TLS, and cannot be */
                      FALLBACK_NONE,
                      FALLBACK_STARTTLS, /* it is tried at `fallback_port`; not in clear either */
};

/* A `login "NAME"` section: who the relay is at a provider's hosts. The secret is in a file. */
struct login_config {
    const char *name;
    const char *user;
    const char *password_file, *token_file; /* one of them; the other is NULL */
    unsigned mechanisms;                    /* that may be used: see relay/smtp/auth.h */
    bool in_clear;                          /* without TLS, too; default: false */
    bool unverified;     /* where nobody has asked whose certificate it is, too; default: false */
    struct login *login; /* never NULL */
    const char *where;   /* "FILE:LINE" */
};

struct route_config { /* a `route "NAME"` section; tried in order */
    const char *name;
    struct next_hop_host *hosts;
    unsigned count;
    struct addresses sources; /* used in turn; none: the destination's */
    const char *hello;        /* the name in EHLO; NULL: the destination's */
    enum route_tls tls;
    enum route_fallback fallback;
    uint16_t fallback_port;           /* default 587 */
    const char *login_name;           /* NULL: none */
    const struct login_config *login; /* of that name */
};

/* Of these three kinds there is always a section "*"; what another section leaves out is as in
 * that one. */
struct tls_config { /* a `tls "NAME"` section */
    const char *name;
    struct tls_policy policy;
    enum tls_version least, most;
    const char *ciphers;     /* of TLS 1.2, as OpenSSL writes them; NULL: as it thinks fit */
    const char *ca_file;     /* whom to trust; NULL: whom the machine trusts */
    const char *where;       /* "FILE:LINE" */
    struct tls_trust *trust; /* from ca_file; NULL without, and until config_check_files */
};

enum families {                      /* which addresses of a host are used, and which come first */
                FAMILIES_BOTH,       /* IPv6 first (RFC 6724) */
                FAMILIES_IPV4_FIRST, /* both, but IPv4 first */
                FAMILIES_IPV4,
                FAMILIES_IPV6,
};

enum in_doubt {                 /* what becomes of mail whose final dot was sent and got no reply */
                IN_DOUBT_RETRY, /* sent again: it may arrive twice */
                IN_DOUBT_HOLD,  /* held: a person decides */
                IN_DOUBT_FAIL,  /* bounced: it may not arrive at all */
};

enum tls_required_header {                      /* "TLS-Required: No" of a message (RFC 8689) */
                           TLS_REQUIRED_HONOUR, /* it is delivered, whatever TLS is wanted */
                           TLS_REQUIRED_IGNORE, /* it is protected as usual */
};

struct destination_config { /* a `destination "NAME"` section */
    const char *name;
    unsigned max_connections;         /* to the site, over all workers; default 20 */
    unsigned max_per_host;            /* to one address, over all sites; 0: 50, or max_connections
                                         where that is more */
    unsigned messages_per_connection; /* default 500; 0: no limit */
    int64_t idle_ms;                  /* an unused connection is closed after; default 30 s */
    int64_t back_off_ms;              /* first back-off of a dead site; default 1 min */
    struct rate rate;                 /* of messages to the site; default: no limit */
    struct rate connection_rate;      /* of connections opened to it; default: no limit */
    unsigned max_hosts;               /* used of its mail hosts, best first; default 20 */
    unsigned max_addresses;           /* used of each of them; default 10 */
    enum families families;
    enum in_doubt in_doubt;   /* default retry */
    struct addresses sources; /* used in turn; none: as the machine does it */
    const char *hello;        /* the name in EHLO; NULL: hostname */
    unsigned discarded;       /* enum extension bits: not used though they are offered; default 0 */
};

struct retry_config { /* a `retry "NAME"` section */
    const char *name;
    struct retry retry;
};

struct senders {       /* "a@b.test", "b.test", ".b.test" (all below it), "<>" */
    const char **list; /* NULL: any */
    unsigned count;
};

struct user_config { /* a `user "NAME"` section: what one who has authenticated may do */
    const char *name;
    unsigned messages_per_hour;      /* 452 4.7.1; default 0: no limit */
    unsigned recipients_per_message; /* 452 4.5.3; default 0: as limits */
    struct senders senders;          /* reverse-paths; others: 550 5.7.1 */
};

struct bounce_config {           /* the `bounce` section */
    uint64_t full_max;           /* larger mail comes back as its header only; default 1 MiB */
    struct rate per_sender;      /* notifications; default 100/h */
    const char *postmaster_copy; /* who gets a copy of each failure; NULL: nobody */
};

struct admin_config {      /* the `admin "ADDRESS"` section */
    bool on;               /* with no file at all it is, at 127.0.0.1:8025 */
    struct endpoint at;    /* where HTTP is answered; family 0: at `path` */
    const char *path;      /* of a unix socket, or NULL */
    bool allow_remote;     /* `at` may be an address that others can reach; default false */
    bool actions;          /* POST is answered; default: on a unix socket only */
    unsigned destinations; /* that have series of their own in /metrics; default 20 */
};

struct tlsrpt_config {        /* the `tlsrpt` section (RFC 8460) */
    bool on;                  /* it is there: sessions are counted */
    bool send;                /* reports; default: unless there is a collector */
    const char *organization; /* default: origin */
    const char *contact;      /* default: postmaster@ORIGIN */
    const char *from;         /* of reports by mail; default: contact */
    const char *collector;    /* a datagram socket that is told of each session; NULL: none */
    const char *ca_file;      /* for reports by HTTPS; NULL: the system's */
};

struct limits {                      /* the `limits` section; each with its reply */
    unsigned connections;            /* inbound, in all: 421 4.3.2; default 2000 */
    unsigned connections_per_client; /* 421 4.7.0; default 200 */
    unsigned recipients;             /* a message: 452 4.5.3; default 1000 */
    uint64_t message_bytes;          /* 552 5.3.4; default 50 MiB */
    uint64_t header_bytes;           /* of a message: 552 5.3.4; default 256 KiB */
    int64_t hold_longest_ms;         /* FUTURERELEASE: 501 5.5.4; 0: not offered; default 30 d */
    unsigned errors;                 /* a connection: 421 4.7.0; default 20 */
    int64_t idle_ms;                 /* 421 4.4.2; default 5 min (RFC 5321 4.5.3.2.7) */
    unsigned queue;                  /* recipients waiting: 452 4.3.1; default 2,000,000 */
    unsigned auth_failures;          /* of a client, one forgiven a minute: 421 4.7.0; default 10 */
    int64_t auth_delay_ms; /* of the reply to the first, doubled with each; default 0.5 s */
    uint64_t memory;       /* bytes of bodies in memory: beyond, fresh mail is read
                              back from disk, and at twice that 452 4.3.1; default 256 MiB */
};

struct config {
    atomic_uint references;
    const char *path; /* the file, or NULL: the defaults */

    const char *hostname; /* default: the machine's */
    const char *origin; /* the domain of addresses that local users give none; default: hostname */
    const char *spool;
    const char *control; /* default: SPOOL/control.sock */
    const char *submit;  /* default: SPOOL/submit.sock */
    /* "FILE:LINE"; NULL: not to be checked */
    const char *spool_where, *control_where, *submit_where;
    const char *users_file; /* NULL: none */
    const char *users_where;
    struct users *users; /* from it; NULL until config_check_files */
    unsigned workers;    /* never 0 here */
    enum durability durability;
    uint64_t map_bytes, min_free_bytes;
    const char *resolver;     /* "ADDRESS:PORT" or NULL: /etc/resolv.conf */
    enum dnssec dnssec;       /* default: DNSSEC_VALIDATE where a level needs it, else off */
    const char *trust_anchor; /* for DNSSEC_VALIDATE; default CONFIG_TRUST_ANCHOR */
    const char *dnssec_where; /* of the key that asks for validation */
    enum log_format log;
    uint16_t smtp_port;           /* for MX hosts; default 25 */
    bool allow_loopback;          /* MX hosts and literals may be loopback; default false */
    const char *mta_sts_ca_file;  /* whom policy hosts (RFC 8461) are certified by; NULL: the
                                     machine's */
    const char *mta_sts_ca_where; /* "FILE:LINE" */
    uint16_t mta_sts_port;        /* of policy hosts; default 443 */
    const char *tls_policy_map;   /* as policy_map.h has it; NULL: none */
    bool builtin_rules;           /* default true */
    enum tls_required_header tls_required;
    int64_t drain_ms; /* SIGTERM's deadline; default 30 s */

    struct ip *own; /* the machine's addresses, as of reading */
    unsigned own_count;
    struct listen_config *listen;
    unsigned listen_count;
    struct networks relay_from, xclient_from;
    const char **submit_users; /* names, numbers, or "*" */
    unsigned submit_user_count;
    struct limits limits;
    struct bounce_config bounce;
    struct admin_config admin;
    struct tlsrpt_config tlsrpt;

    struct rule *rules; /* in the order of the file, the built-in ones last */

    struct names routes;       /* struct route_config; may be empty: MX */
    struct names tls;          /* struct tls_config; "*" always there */
    struct names destinations; /* struct destination_config; "*" always there */
    struct names retries;      /* struct retry_config; "*" always there */
    struct names logins;       /* struct login_config; may be empty */
    struct names user_names;   /* struct user_config; "*" always there; by config_user() */

    /* The same once more, in the order of the file; "*", where it is always there, first. */
    struct route_config *route_list;
    struct tls_config *tls_list;
    struct destination_config *destination_list;
    struct retry_config *retry_list;
    struct user_config *user_list;
    struct login_config *login_list;
    unsigned route_count, tls_count, destination_count, retry_count, user_count, login_count,
        rule_count;

    struct arena arena;
};

/* The file to read: `given`, else the one of the installation when it is there, else NULL: the
 * defaults. */
const char *config_file(const char *given);

/* One reference, or NULL with all errors, a line each, in `errors`. `path` NULL: defaults. */
struct config *config_read(const char *path, struct buffer *errors);
/* The same, and config_check_files on all that could be read: the errors of both at once. */
struct config *config_check(const char *path, struct buffer *errors);
/* config_check, to which also what config_doubts says is an error. */
struct config *config_check_strictly(const char *path, struct buffer *errors);
struct config *config_keep(struct config *config);
void config_drop(struct config **config);

/* The configuration in effect, in the syntax it is read in; no secret is printed. */
void config_dump(const struct config *config, struct buffer *to);

/* The files it names can be used: certificates load and match their keys, the spool and the
 * sockets have their place; and it reads `users`. Lines as above. */
bool config_check_files(struct config *config, struct buffer *errors);

/* What is wrong now, but may come right while the relay runs: an address in `source` that is not on
 * this machine, a login's file that cannot be used. True when there is nothing. */
bool config_doubts(const struct config *config, struct buffer *doubts);

struct resolve_settings config_resolver(const struct config *config);

const struct route_config *config_route(const struct config *config, struct span domain);
/* Whether TLS comes first there, on this route. */
bool config_is_implicit(const struct route_config *route, const struct next_hop_host *host);
const struct tls_config *config_tls(const struct config *config, struct span domain);
const struct destination_config *config_destination(const struct config *config,
                                                    struct span domain);
const struct retry_config *config_retry_section(const struct config *config, struct span domain);
const struct retry *config_retry(const struct config *config, struct span domain);
const struct user_config *config_user(const struct config *config, const char *name);
/* Whether one of them is this reverse-path. */
bool config_may_send_as(const struct senders *senders, struct span sender);
/* Looks up `own`; a part of config_read. */
void config_find_own(struct config *config);
/* Whether one of our own listeners is there: to connect would be a loop. */
bool config_is_own_listener(const struct config *config, const struct ip *ip, uint16_t port);
/* Whatever DNS says, nobody has us knock at doors within: hosts that others name for policies and
 * reports. */
bool config_may_fetch_from(const struct config *config, const struct ip *ip);
bool config_may_relay(const struct config *config, const struct ip *client);
/* Whether this can be the name or number of a user of this machine, and may stand in a header. */
bool config_is_user(struct span text);
/* Whether this local user may hand in mail over `submit`. `name` may be "": not known. */
bool config_may_submit(const struct config *config, unsigned uid, const char *name);
