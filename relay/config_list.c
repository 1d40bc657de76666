#include "relay/config_list.h"

#include "relay/config_value.h"
#include "relay/smtp/address.h"
#include "relay/smtp/auth.h"
#include "relay/smtp/extension.h"

struct reading { /* of one list */
    const struct list_text *list;
    const char *name; /* the key's */
    struct config *config;
    struct report *report;
};

static void *room_for(const struct reading *reading, unsigned count, size_t size)
{
    return arena_take(&reading->config->arena, count * size);
}

/* How many of the list are read: what is beyond `most` is told. */
static unsigned bounded(const struct reading *reading, unsigned most)
{
    unsigned count = reading->list->count;
    if (count <= most)
        return count;
    report_add(reading->report, reading->list->place, "%s: %u are too many, there may be %u",
               reading->name, count, most);
    return most;
}

static void read_hosts(const struct reading *reading, struct route_config *route)
{
    char why[VALUE_WHY_MAX];
    struct config *config = reading->config;
    unsigned count = bounded(reading, CONFIG_HOSTS_MAX);
    route->hosts = room_for(reading, count, sizeof(*route->hosts));
    for (unsigned i = 0; i < count; i++) {
        struct span text = span_of(reading->list->texts[i]);
        if (value_read_host(text, PORT_UNSAID, &config->arena, &route->hosts[route->count], why))
            route->count++;
        else
            report_add(reading->report, reading->list->place, "%s: %s", reading->name, why);
    }
}

static void read_networks(const struct reading *reading, struct networks *networks)
{
    networks->count = reading->list->count;
    networks->list = room_for(reading, networks->count, sizeof(*networks->list));
    for (unsigned i = 0; i < networks->count; i++)
        if (!network_parse(span_of(reading->list->texts[i]), &networks->list[i]))
            report_add(reading->report, reading->list->place,
                       "%s: \"%.80s\" is not a network, as in 192.0.2.0/24 or "
                       "2001:db8::/32 (no bits set behind the prefix)",
                       reading->name, reading->list->texts[i]);
}

/* One that mail can be sent from. Whether it is on this machine is config_doubts' to say. */
static bool read_address(const char *text, struct ip *ip)
{
    return ip_parse(span_of(text), ip) && !ip_is_unspecified(ip) && ip_is_reachable(ip);
}

static void read_addresses(const struct reading *reading, struct addresses *addresses)
{
    addresses->count = bounded(reading, CONFIG_SOURCES_MAX);
    addresses->list = room_for(reading, addresses->count, sizeof(*addresses->list));
    addresses->where = place_text(reading->list->place, &reading->config->arena);
    for (unsigned i = 0; i < addresses->count; i++)
        if (!read_address(reading->list->texts[i], &addresses->list[i]))
            report_add(reading->report, reading->list->place,
                       "%s: \"%.80s\" is not an address to send from, as in 192.0.2.1 or "
                       "2001:db8::1",
                       reading->name, reading->list->texts[i]);
}

static void read_schedule(const struct reading *reading, const struct key *key,
                          struct schedule *schedule)
{
    char why[VALUE_WHY_MAX];
    struct key one = {
        .name = key->name, .kind = KEY_DURATION, .least = key->least, .most = key->most};
    unsigned count = bounded(reading, CONFIG_SCHEDULE_MAX);
    int64_t *delays = room_for(reading, count, sizeof(*delays));
    for (unsigned i = 0; i < count; i++)
        if (!value_read(&one, span_of(reading->list->texts[i]), &delays[i], &reading->config->arena,
                        why))
            report_add(reading->report, reading->list->place, "%s: %s", reading->name, why);
    *schedule = (struct schedule){delays, count};
}

/* STARTTLS is not among them: whether it is used is for `tls` to say. */
static void read_extensions(const struct reading *reading, unsigned *bits)
{
    *bits = 0;
    for (unsigned i = 0; i < reading->list->count; i++) {
        unsigned found = extension_find(span_of(reading->list->texts[i]));
        *bits |= found;
        if (found == EXTENSION_STARTTLS)
            report_add(reading->report, reading->list->place,
                       "%s: whether STARTTLS is used is for tls to say: level = \"none\"",
                       reading->name);
        else if (!(found & EXTENSIONS_OUTBOUND))
            report_add(reading->report, reading->list->place,
                       "%s: \"%.80s\" is not one of the extensions that are used when they are "
                       "offered: " EXTENSIONS_OUTBOUND_NAMES,
                       reading->name, reading->list->texts[i]);
    }
}

static bool sender_is_valid(struct span sender)
{
    bool below = sender.length > 1 && sender.data[0] == '.';
    return span_equal(sender, SPAN("<>")) || address_is_valid(sender) ||
           domain_is_valid(below ? span_skip(sender, 1) : sender);
}

static void read_senders(const struct reading *reading, struct senders *senders)
{
    senders->count = reading->list->count;
    senders->list = room_for(reading, senders->count + 1, sizeof(*senders->list));
    for (unsigned i = 0; i < senders->count; i++) {
        struct span sender = span_of(reading->list->texts[i]);
        senders->list[i] = arena_copy(&reading->config->arena, sender);
        if (!sender_is_valid(sender))
            report_add(reading->report, reading->list->place,
                       "%s: \"%.80s\" is not a sender: an address, a domain, .domain for all below "
                       "it, or <>",
                       reading->name, senders->list[i]);
    }
}

static void read_matches(const struct reading *reading, struct tls_policy *policy)
{
    char why[VALUE_WHY_MAX];
    unsigned count = bounded(reading, CONFIG_MATCHES_MAX);
    struct tls_match *matches = room_for(reading, count, sizeof(*matches));
    for (unsigned i = 0; i < count; i++)
        if (!value_read_match(span_of(reading->list->texts[i]), &matches[i],
                              &reading->config->arena, why))
            report_add(reading->report, reading->list->place, "%s: %s", reading->name, why);
    policy->matches = matches;
    policy->match_count = count;
}

static void read_prints(const struct reading *reading, struct tls_policy *policy)
{
    char why[VALUE_WHY_MAX];
    unsigned count = bounded(reading, CONFIG_MATCHES_MAX);
    struct fingerprint *prints = room_for(reading, count, sizeof(*prints));
    for (unsigned i = 0; i < count; i++)
        if (!value_read_print(span_of(reading->list->texts[i]), &prints[i], why))
            report_add(reading->report, reading->list->place, "%s: %s", reading->name, why);
    policy->fingerprints = prints;
    policy->fingerprint_count = count;
}

static void read_mechanisms(const struct reading *reading, unsigned *set)
{
    char known[AUTH_TEXT_MAX];
    *set = 0;
    for (unsigned i = 0; i < reading->list->count; i++) {
        unsigned found = auth_find(span_of(reading->list->texts[i]));
        *set |= found;
        if (found == 0)
            report_add(reading->report, reading->list->place,
                       "%s: \"%.80s\" is not one of those that are known: %s", reading->name,
                       reading->list->texts[i],
                       auth_set_format(AUTH_BY_PASSWORD | AUTH_BY_TOKEN, known));
    }
}

static void read_users(const struct reading *reading)
{
    struct config *config = reading->config;
    unsigned count = config->submit_user_count = reading->list->count;
    config->submit_users = room_for(reading, count, sizeof(*config->submit_users));
    for (unsigned i = 0; i < count; i++) {
        struct span user = span_of(reading->list->texts[i]);
        config->submit_users[i] = arena_copy(&config->arena, user);
        if (!config_is_user(user) && !span_equal(user, SPAN("*")))
            report_add(reading->report, reading->list->place,
                       "%s: \"%.80s\" is not a user: a name, a number, or * for all", reading->name,
                       config->submit_users[i]);
    }
}

void list_read(const struct list_text *list, const struct key *key, void *item,
               struct config *config, struct report *report)
{
    const struct reading reading = {list, key->name, config, report};
    void *at = (char *)item + key->offset;
    if (key->kind == KEY_HOSTS)
        read_hosts(&reading, item);
    else if (key->kind == KEY_NETWORKS)
        read_networks(&reading, at);
    else if (key->kind == KEY_ADDRESSES)
        read_addresses(&reading, at);
    else if (key->kind == KEY_EXTENSIONS)
        read_extensions(&reading, at);
    else if (key->kind == KEY_SCHEDULE)
        read_schedule(&reading, key, at);
    else if (key->kind == KEY_SENDERS)
        read_senders(&reading, at);
    else if (key->kind == KEY_MATCHES)
        read_matches(&reading, at);
    else if (key->kind == KEY_PRINTS)
        read_prints(&reading, at);
    else if (key->kind == KEY_MECHANISMS)
        read_mechanisms(&reading, at);
    else if (key->kind == KEY_USERS)
        read_users(&reading);
    else
        must_not_reach();
}
