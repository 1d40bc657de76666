#include "relay/config_keys.h"

#include "base/must.h"
#include "base/nearest.h"
#include "relay/config.h"

#include <stdio.h>
#include <string.h>

#define SECOND 1000LL
#define DAY (86400 * SECOND)
#define LONGEST (1000 * DAY)
#define KIB (1LL << 10)
#define MIB (1LL << 20)
#define TIB (1LL << 40)

/* ---- words, by enum value ---- */

static const char *const durability_words[] = {
    [DURABILITY_COMMIT] = "commit",
    [DURABILITY_RELAXED] = "relaxed",
    [DURABILITY_NONE] = "none",
    [DURABILITY_NONE + 1] = NULL,
};
static const char *const log_words[] = {
    [LOG_TEXT] = "text", [LOG_JSON] = "json", [LOG_JSON + 1] = NULL};
static const char *const dnssec_words[] = {
    [DNSSEC_OFF] = "off",
    [DNSSEC_VALIDATE] = "validate",
    [DNSSEC_TRUST_AD] = "trust-ad",
    [DNSSEC_TRUST_AD + 1] = NULL,
};
static const char *const newline_words[] = {
    [NEWLINES_REFUSE] = "refuse",
    [NEWLINES_NORMALISE] = "normalise",
    [NEWLINES_NORMALISE + 1] = NULL,
};
static const char *const tls_required_words[] = {
    [TLS_REQUIRED_HONOUR] = "honour",
    [TLS_REQUIRED_IGNORE] = "ignore",
    [TLS_REQUIRED_IGNORE + 1] = NULL,
};
static const char *const listen_auth_words[] = {
    [LISTEN_AUTH_OFF] = "off",
    [LISTEN_AUTH_OFFERED] = "offered",
    [LISTEN_AUTH_REQUIRED] = "required",
    [LISTEN_AUTH_REQUIRED + 1] = NULL,
};
static const char *const listen_tls_words[] = {
    [LISTEN_TLS_OFF] = "off",           [LISTEN_TLS_OFFERED] = "offered",
    [LISTEN_TLS_REQUIRED] = "required", [LISTEN_TLS_IMPLICIT] = "implicit",
    [LISTEN_TLS_IMPLICIT + 1] = NULL,
};
static const char *const route_tls_words[] = {
    [ROUTE_TLS_BY_PORT] = "by-port",
    [ROUTE_TLS_STARTTLS] = "starttls",
    [ROUTE_TLS_IMPLICIT] = "implicit",
    [ROUTE_TLS_IMPLICIT + 1] = NULL,
};
static const char *const fallback_words[] = {
    [FALLBACK_NONE] = "none", [FALLBACK_STARTTLS] = "starttls", [FALLBACK_STARTTLS + 1] = NULL};
static const char *const level_words[] = {
    [TLS_NONE] = "none",           [TLS_MAY] = "may",
    [TLS_ENCRYPT] = "encrypt",     [TLS_DANE] = "dane",
    [TLS_DANE_ONLY] = "dane-only", [TLS_FINGERPRINT] = "fingerprint",
    [TLS_VERIFY] = "verify",       [TLS_SECURE] = "secure",
    [TLS_LEVELS] = NULL,
};
static const char *const on_454_words[] = {
    [ON_454_RETRY] = "retry",
    [ON_454_PLAIN] = "plain",
    [ON_454_NEXT_HOST] = "next-host",
    [ON_454_NEXT_HOST + 1] = NULL,
};
static const char *const version_words[] = {
    [TLS_VERSION_ANY] = "any",
    [TLS_VERSION_1_2] = "1.2",
    [TLS_VERSION_1_3] = "1.3",
    [TLS_VERSION_1_3 + 1] = NULL,
};

static const char *const families_words[] = {
    [FAMILIES_BOTH] = "both", [FAMILIES_IPV4_FIRST] = "ipv4-first", [FAMILIES_IPV4] = "ipv4",
    [FAMILIES_IPV6] = "ipv6", [FAMILIES_IPV6 + 1] = NULL,
};
static const char *const in_doubt_words[] = {
    [IN_DOUBT_RETRY] = "retry",
    [IN_DOUBT_HOLD] = "hold",
    [IN_DOUBT_FAIL] = "fail",
    [IN_DOUBT_FAIL + 1] = NULL,
};

static const char *const stage_words[] = {
    [STAGE_NONE] = "any",
    [STAGE_CONNECT] = "connect",
    [STAGE_GREETING] = "greeting",
    [STAGE_EHLO] = "ehlo",
    [STAGE_STARTTLS] = "starttls",
    [STAGE_AUTH] = "auth",
    [STAGE_MAIL] = "mail",
    [STAGE_RCPT] = "rcpt",
    [STAGE_DATA] = "data",
    [STAGE_END_OF_DATA] = "end-of-data",
    [STAGES] = NULL,
};
static const char *const rule_action_words[] = {
    [RULE_DEFER] = "defer",     [RULE_RETRY] = "retry",   [RULE_BACK_OFF] = "back-off",
    [RULE_SUSPEND] = "suspend", [RULE_BOUNCE] = "bounce", [RULE_NEXT_HOST] = "next-host",
    [RULE_ACTIONS] = NULL,
};

/* ---- keys ---- */

#define AT(type, member) .offset = offsetof(struct type, member)
static const struct key top_keys[] = {
    {"hostname", KEY_HOSTNAME, AT(config, hostname)},
    {"spool", KEY_PATH, AT(config, spool)},
    {"control", KEY_PATH, AT(config, control)},
    {"submit", KEY_PATH, AT(config, submit)},
    {.name = "submit-users", .kind = KEY_USERS},
    {"origin", KEY_HOSTNAME, AT(config, origin)},
    {"users", KEY_PATH, AT(config, users_file)},
    {"workers", KEY_NUMBER, AT(config, workers), .most = CONFIG_WORKERS_MAX},
    {"durability", KEY_WORD, AT(config, durability), .words = durability_words},
    {"map-size", KEY_SIZE, AT(config, map_bytes), .least = 2 * SPOOL_MAP_RESERVE, .most = 16 * TIB},
    {"min-free", KEY_SIZE, AT(config, min_free_bytes), .least = 1, .most = 16 * TIB},
    {"log", KEY_WORD, AT(config, log), .words = log_words},
    {"resolver", KEY_ENDPOINT, AT(config, resolver)},
    {"dnssec", KEY_WORD, AT(config, dnssec), .words = dnssec_words},
    {"trust-anchor", KEY_PATH, AT(config, trust_anchor)},
    {"smtp-port", KEY_PORT, AT(config, smtp_port), .least = 1, .most = UINT16_MAX},
    {"allow-loopback", KEY_FLAG, AT(config, allow_loopback)},
    {"mta-sts-ca-file", KEY_PATH, AT(config, mta_sts_ca_file)},
    {"mta-sts-port", KEY_PORT, AT(config, mta_sts_port), .least = 1, .most = UINT16_MAX},
    {"tls-policy-map", KEY_POLICY_MAP, AT(config, tls_policy_map)},
    {"tls-required-header", KEY_WORD, AT(config, tls_required), .words = tls_required_words},
    {"builtin-rules", KEY_FLAG, AT(config, builtin_rules)},
    {"drain", KEY_DURATION, AT(config, drain_ms), .most = DAY},
    {"relay-from", KEY_NETWORKS, AT(config, relay_from)},
    {"xclient-from", KEY_NETWORKS, AT(config, xclient_from)},
};

static const struct key listen_keys[] = {
    {"tls", KEY_WORD, AT(listen_config, tls), .words = listen_tls_words},
    {"certificate", KEY_PATH, AT(listen_config, certificate)},
    {"key", KEY_PATH, AT(listen_config, key)},
    {"bare-newlines", KEY_WORD, AT(listen_config, newlines), .words = newline_words},
    {"add-headers", KEY_FLAG, AT(listen_config, add_headers)},
    {"proxy", KEY_NETWORKS, AT(listen_config, proxies)},
    {"xclient-from", KEY_NETWORKS, AT(listen_config, xclient_from)},
    {"auth", KEY_WORD, AT(listen_config, auth), .words = listen_auth_words},
    {"auth-in-clear", KEY_FLAG, AT(listen_config, auth_in_clear)},
};

static const struct key route_keys[] = {
    {.name = "hosts", .kind = KEY_HOSTS},
    {"source", KEY_ADDRESSES, AT(route_config, sources)},
    {"hello", KEY_HOSTNAME, AT(route_config, hello)},
    {"tls", KEY_WORD, AT(route_config, tls), .words = route_tls_words},
    {"fallback", KEY_WORD, AT(route_config, fallback), .words = fallback_words},
    {"fallback-port", KEY_PORT, AT(route_config, fallback_port), .least = 1, .most = UINT16_MAX},
    {"login", KEY_TEXT, AT(route_config, login_name)},
};

static const struct key login_keys[] = {
    {"user", KEY_TEXT, AT(login_config, user)},
    {"password-file", KEY_PATH, AT(login_config, password_file)},
    {"token-file", KEY_PATH, AT(login_config, token_file)},
    {"mechanisms", KEY_MECHANISMS, AT(login_config, mechanisms)},
    {"in-clear", KEY_FLAG, AT(login_config, in_clear)},
    {"unverified", KEY_FLAG, AT(login_config, unverified)},
};

static const struct key tls_keys[] = {
    {"level", KEY_WORD, AT(tls_config, policy.level), .words = level_words},
    {"on-454", KEY_WORD, AT(tls_config, policy.on_454), .words = on_454_words},
    {"plain-after", KEY_NUMBER, AT(tls_config, policy.plain_after), .most = 1000},
    {"min-version", KEY_WORD, AT(tls_config, least), .words = version_words},
    {"max-version", KEY_WORD, AT(tls_config, most), .words = version_words},
    {"mta-sts", KEY_FLAG, AT(tls_config, policy.mta_sts)},
    {"match", KEY_MATCHES, AT(tls_config, policy)},
    {"servername", KEY_MATCH, AT(tls_config, policy.server_name)},
    {"fingerprints", KEY_PRINTS, AT(tls_config, policy)},
    {"ca-file", KEY_PATH, AT(tls_config, ca_file)},
    {"ciphers", KEY_TEXT, AT(tls_config, ciphers)},
};

#define DESTINATION(member) AT(destination_config, member)

static const struct key destination_keys[] = {
    {"max-connections", KEY_NUMBER, DESTINATION(max_connections), .least = 1, .most = 10000},
    {"max-connections-per-host", KEY_NUMBER, DESTINATION(max_per_host), .most = 10000},
    {"messages-per-connection", KEY_NUMBER, DESTINATION(messages_per_connection), .most = 1000000},
    {"idle", KEY_DURATION, DESTINATION(idle_ms), .most = DAY},
    {"back-off", KEY_DURATION, DESTINATION(back_off_ms), .least = 1, .most = DAY},
    {"rate", KEY_RATE, DESTINATION(rate), .most = 1000000},
    {"connection-rate", KEY_RATE, DESTINATION(connection_rate), .most = 1000000},
    {"max-hosts", KEY_NUMBER, DESTINATION(max_hosts), .least = 1, .most = CONFIG_HOSTS_MAX},
    {"max-addresses", KEY_NUMBER, DESTINATION(max_addresses), 1, CONFIG_ADDRESSES_MAX},
    {"address-families", KEY_WORD, DESTINATION(families), .words = families_words},
    {"in-doubt", KEY_WORD, DESTINATION(in_doubt), .words = in_doubt_words},
    {"source", KEY_ADDRESSES, DESTINATION(sources)},
    {"hello", KEY_HOSTNAME, DESTINATION(hello)},
    {"discard-ehlo", KEY_EXTENSIONS, DESTINATION(discarded)},
};

static const struct key retry_keys[] = {
    {"first", KEY_DURATION, AT(retry_config, retry.first_ms), .least = 1, .most = LONGEST},
    {"factor", KEY_FACTOR, AT(retry_config, retry.factor), .least = 1, .most = 100},
    {"longest", KEY_DURATION, AT(retry_config, retry.longest_ms), .least = 1, .most = LONGEST},
    {"give-up", KEY_DURATION, AT(retry_config, retry.give_up_ms), .least = 1, .most = LONGEST},
    {"warn-after", KEY_DURATION, AT(retry_config, retry.warn_ms), .most = LONGEST},
    {"schedule", KEY_SCHEDULE, AT(retry_config, retry.schedule), .least = 1, .most = LONGEST},
};

static const struct key user_keys[] = {
    {"messages-per-hour", KEY_NUMBER, AT(user_config, messages_per_hour), .most = 1000000},
    {"recipients-per-message", KEY_NUMBER, AT(user_config, recipients_per_message), 0, 100000},
    {"senders", KEY_SENDERS, AT(user_config, senders)},
};

static const struct key limits_keys[] = {
    {"connections", KEY_NUMBER, AT(limits, connections), .least = 1, .most = 1000000},
    {"connections-per-client", KEY_NUMBER, AT(limits, connections_per_client), 1, 1000000},
    {"recipients", KEY_NUMBER, AT(limits, recipients), .least = 1, .most = 100000},
    {"message-size", KEY_SIZE, AT(limits, message_bytes), .least = KIB, .most = TIB},
    {"header", KEY_SIZE, AT(limits, header_bytes), .least = KIB, .most = 16 * MIB},
    {"hold-longest", KEY_DURATION, AT(limits, hold_longest_ms), .most = LONGEST},
    {"auth-failures", KEY_NUMBER, AT(limits, auth_failures), .least = 1, .most = 1000000},
    {"auth-delay", KEY_DURATION, AT(limits, auth_delay_ms), .most = 60 * SECOND},
    {"errors", KEY_NUMBER, AT(limits, errors), .least = 1, .most = 1000000},
    {"idle", KEY_DURATION, AT(limits, idle_ms), .least = 1, .most = DAY},
    {"queue", KEY_NUMBER, AT(limits, queue), .least = 1, .most = 1000000000},
    {"memory", KEY_SIZE, AT(limits, memory), .least = MIB, .most = TIB},
};

static const struct key bounce_keys[] = {
    {"full-max", KEY_SIZE, AT(bounce_config, full_max), .most = BOUNCE_FULL_MAX},
    {"per-sender", KEY_RATE, AT(bounce_config, per_sender), .most = 1000000},
    {"postmaster-copy", KEY_ADDRESS, AT(bounce_config, postmaster_copy)},
};

static const struct key reply_keys[] = {
    {"match", KEY_TEXT, AT(rule, match)},
    {"destination", KEY_TEXT, AT(rule, destination)},
    {"at", KEY_WORD, AT(rule, at), .words = stage_words},
    {"action", KEY_WORD, AT(rule, action), .words = rule_action_words},
    {"for", KEY_DURATION, AT(rule, for_ms), .most = 30 * DAY},
};

static const struct key admin_keys[] = {
    {"allow-remote", KEY_FLAG, AT(admin_config, allow_remote)},
    {"actions", KEY_FLAG, AT(admin_config, actions)},
    {"destinations", KEY_NUMBER, AT(admin_config, destinations), .most = 1000},
};

static const struct key tlsrpt_keys[] = {
    {"send", KEY_FLAG, AT(tlsrpt_config, send)},
    {"organization", KEY_TEXT, AT(tlsrpt_config, organization)},
    {"contact", KEY_ADDRESS, AT(tlsrpt_config, contact)},
    {"from", KEY_ADDRESS, AT(tlsrpt_config, from)},
    {"collector", KEY_PATH, AT(tlsrpt_config, collector)},
    {"ca-file", KEY_PATH, AT(tlsrpt_config, ca_file)},
};

/* ---- sections ---- */

static const struct section sections[] = {
    [SECTION_TOP] = {"", false, top_keys, countof(top_keys)},
    [SECTION_LISTEN] = {"listen", true, listen_keys, countof(listen_keys)},
    [SECTION_ROUTE] = {"route", true, route_keys, countof(route_keys)},
    [SECTION_TLS] = {"tls", true, tls_keys, countof(tls_keys)},
    [SECTION_DESTINATION] = {"destination", true, destination_keys, countof(destination_keys)},
    [SECTION_RETRY] = {"retry", true, retry_keys, countof(retry_keys)},
    [SECTION_LIMITS] = {"limits", false, limits_keys, countof(limits_keys)},
    [SECTION_USER] = {"user", true, user_keys, countof(user_keys)},
    [SECTION_LOGIN] = {"login", true, login_keys, countof(login_keys)},
    [SECTION_BOUNCE] = {"bounce", false, bounce_keys, countof(bounce_keys)},
    [SECTION_REPLY] = {"reply", true, reply_keys, countof(reply_keys)},
    [SECTION_ADMIN] = {"admin", true, admin_keys, countof(admin_keys)},
    [SECTION_TLSRPT] = {"tlsrpt", false, tlsrpt_keys, countof(tlsrpt_keys)},
};
_Static_assert(countof(sections) == SECTIONS, "one row per section");

const struct section *config_section(enum section_kind kind)
{
    return &sections[kind];
}

enum section_kind config_section_find(struct span name)
{
    for (unsigned kind = SECTION_TOP + 1; kind < SECTIONS; kind++)
        if (span_equal(name, span_of(sections[kind].name)))
            return (enum section_kind)kind;
    return SECTION_TOP;
}

const struct key *config_key_find(enum section_kind kind, struct span name)
{
    const struct section *section = &sections[kind];
    for (size_t i = 0; i < section->count; i++)
        if (span_equal(name, span_of(section->keys[i].name)))
            return &section->keys[i];
    return NULL;
}

/* ---- names that are not known ---- */

#define NAMES_MAX 64

struct names_known {
    const char *names[NAMES_MAX]; /* keys, then sections */
    unsigned keys, count;
};

static void names_of(enum section_kind kind, struct names_known *known)
{
    const struct section *section = &sections[kind];
    must(section->count + SECTIONS <= NAMES_MAX);
    known->count = 0;
    for (size_t i = 0; i < section->count; i++)
        known->names[known->count++] = section->keys[i].name;
    known->keys = known->count;
    if (kind != SECTION_TOP)
        return;
    for (unsigned other = SECTION_TOP + 1; other < SECTIONS; other++)
        known->names[known->count++] = sections[other].name;
    known->names[known->count++] = "include";
}

static void join(char *to, size_t size, const char *between, const char *word)
{
    size_t used = strlen(to);
    snprintf(to + used, size - used, "%s%s", used > 0 ? between : "", word);
}

/* The places where such a name is known; "" for none. */
static void homes_of(struct span name, char *homes, size_t size)
{
    for (unsigned kind = SECTION_TOP; kind < SECTIONS; kind++) {
        const struct key *key = config_key_find((enum section_kind)kind, name);
        if (key != NULL)
            join(homes, size, " or ", kind == SECTION_TOP ? "the top level" : sections[kind].name);
    }
    if (config_section_find(name) != SECTION_TOP || span_equal(name, SPAN("include")))
        join(homes, size, " or ", "the top level");
}

static void list_names(const struct names_known *known, bool keys, char *text, size_t size)
{
    join(text, size, "", "known are ");
    unsigned first = keys ? 0 : known->keys, end = keys ? known->keys : known->count;
    for (unsigned i = first; i < end; i++)
        join(text, size, i > first ? ", " : "", known->names[i]);
}

void config_unknown(enum section_kind kind, struct span name, bool is_key,
                    char text[CONFIG_UNKNOWN_MAX])
{
    struct names_known known;
    char where[40] = "", meant[480] = "";
    if (kind != SECTION_TOP)
        snprintf(where, sizeof(where), " in %s", sections[kind].name);
    if (name.length > 60)
        name.length = 60;
    names_of(kind, &known);
    homes_of(name, meant, sizeof(meant));
    if (meant[0] != '\0') {
        snprintf(text, CONFIG_UNKNOWN_MAX, "\"%.*s\" stands in the wrong place%s: it belongs to %s",
                 SPAN_FORMAT(name), where, meant);
        return;
    }
    const char *nearest = nearest_name(name, known.names, known.count);
    if (nearest != NULL)
        snprintf(meant, sizeof(meant), "did you mean \"%s\"?", nearest);
    else
        list_names(&known, is_key || kind != SECTION_TOP, meant, sizeof(meant));
    snprintf(text, CONFIG_UNKNOWN_MAX, "unknown %s \"%.*s\"%s: %s", is_key ? "key" : "section",
             SPAN_FORMAT(name), where, meant);
}
