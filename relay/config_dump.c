#include "relay/config_keys.h"
#include "relay/config_value.h"
#include "relay/smtp/auth.h"
#include "relay/smtp/extension.h"

#include <inttypes.h>

static void print_networks(const struct networks *networks, struct buffer *to)
{
    char ip[IP_TEXT_MAX];
    buffer_print(to, "{");
    for (unsigned i = 0; i < networks->count; i++)
        buffer_print(to, "%s\"%s/%u\"", i > 0 ? ", " : " ", ip_format(&networks->list[i].ip, ip),
                     networks->list[i].bits);
    buffer_print(to, " }");
}

static void print_addresses(const struct addresses *addresses, struct buffer *to)
{
    char ip[IP_TEXT_MAX];
    buffer_print(to, "{");
    for (unsigned i = 0; i < addresses->count; i++)
        buffer_print(to, "%s\"%s\"", i > 0 ? ", " : " ", ip_format(&addresses->list[i], ip));
    buffer_print(to, " }");
}

static void print_users(const struct config *config, struct buffer *to)
{
    buffer_print(to, "{");
    for (unsigned i = 0; i < config->submit_user_count; i++)
        buffer_print(to, "%s\"%s\"", i > 0 ? ", " : " ", config->submit_users[i]);
    buffer_print(to, " }");
}

static void print_senders(const struct senders *senders, struct buffer *to)
{
    buffer_print(to, "{");
    for (unsigned i = 0; i < senders->count; i++) {
        buffer_print(to, i > 0 ? ", " : " ");
        value_print_text(to, senders->list[i]);
    }
    buffer_print(to, " }");
}

static void print_hosts(const struct route_config *route, struct buffer *to)
{
    buffer_print(to, "{");
    for (unsigned i = 0; i < route->count; i++) {
        buffer_print(to, i > 0 ? ", " : " ");
        value_print_host(&route->hosts[i], to);
    }
    buffer_print(to, " }");
}

static void print_schedule(const struct schedule *schedule, struct buffer *to)
{
    char text[UNITS_TEXT_MAX];
    buffer_print(to, "{");
    for (unsigned i = 0; i < schedule->count; i++)
        buffer_print(to, "%s%s", i > 0 ? ", " : " ",
                     units_duration_format(schedule->delays_ms[i], text));
    buffer_print(to, " }");
}

static void print_extensions(unsigned bits, struct buffer *to)
{
    const char *before = " ";
    buffer_print(to, "{");
    for (unsigned bit = 1; bit < 1u << EXTENSIONS; bit <<= 1) {
        if (!(bits & bit))
            continue;
        buffer_print(to, "%s\"%s\"", before, extension_name(bit));
        before = ", ";
    }
    buffer_print(to, " }");
}

static void print_matches(const struct tls_policy *policy, struct buffer *to)
{
    buffer_print(to, "{");
    for (unsigned i = 0; i < policy->match_count; i++) {
        buffer_print(to, i > 0 ? ", " : " ");
        value_print_text(to, value_match_text(&policy->matches[i]));
    }
    buffer_print(to, " }");
}

static void print_prints(const struct tls_policy *policy, struct buffer *to)
{
    buffer_print(to, "{");
    for (unsigned i = 0; i < policy->fingerprint_count; i++) {
        buffer_print(to, i > 0 ? ", " : " ");
        value_print_print(&policy->fingerprints[i], to);
    }
    buffer_print(to, " }");
}

static void print_mechanisms(unsigned set, struct buffer *to)
{
    const char *before = " ";
    buffer_print(to, "{");
    for (unsigned i = 0; i < AUTH_MECHANISMS; i++) {
        if (!(set & AUTH_BIT(i)))
            continue;
        buffer_print(to, "%s\"%s\"", before, auth_name((enum auth_mechanism)i));
        before = ", ";
    }
    buffer_print(to, " }");
}

/* Any sender will do, names are as the level has them: no list says that. */
static bool is_unsaid(const struct key *key, const void *item)
{
    const void *at = (const char *)item + key->offset;
    const struct tls_policy *policy = at;
    return (key->kind == KEY_SENDERS && ((const struct senders *)at)->list == NULL) ||
           (key->kind == KEY_MATCHES && policy->match_count == 0) ||
           (key->kind == KEY_PRINTS && policy->fingerprint_count == 0);
}

static void print_key(const struct key *key, const void *item, struct buffer *to,
                      const char *indent)
{
    struct buffer value CLEANUP(buffer_free) = {0};
    if (is_unsaid(key, item))
        return;
    if (key->kind == KEY_HOSTS)
        print_hosts(item, &value);
    else if (key->kind == KEY_NETWORKS)
        print_networks((const void *)((const char *)item + key->offset), &value);
    else if (key->kind == KEY_ADDRESSES)
        print_addresses((const void *)((const char *)item + key->offset), &value);
    else if (key->kind == KEY_SENDERS)
        print_senders((const void *)((const char *)item + key->offset), &value);
    else if (key->kind == KEY_MATCHES)
        print_matches((const void *)((const char *)item + key->offset), &value);
    else if (key->kind == KEY_PRINTS)
        print_prints((const void *)((const char *)item + key->offset), &value);
    else if (key->kind == KEY_USERS)
        print_users(item, &value);
    else if (key->kind == KEY_EXTENSIONS)
        print_extensions(*(const unsigned *)(const void *)((const char *)item + key->offset),
                         &value);
    else if (key->kind == KEY_MECHANISMS)
        print_mechanisms(*(const unsigned *)(const void *)((const char *)item + key->offset),
                         &value);
    else if (key->kind == KEY_SCHEDULE)
        print_schedule((const void *)((const char *)item + key->offset), &value);
    else if (!value_print(key, item, &value))
        return;
    buffer_print(to, "%s%s = %.*s\n", indent, key->name, SPAN_FORMAT(buffer_span(&value)));
}

static void print_keys(enum section_kind kind, const void *item, struct buffer *to,
                       const char *indent)
{
    const struct section *section = config_section(kind);
    for (size_t i = 0; i < section->count; i++)
        print_key(&section->keys[i], item, to, indent);
}

static void print_section(enum section_kind kind, const char *title, const void *item,
                          struct buffer *to)
{
    buffer_print(to, "\n%s ", config_section(kind)->name);
    if (title != NULL) {
        value_print_text(to, title);
        buffer_print(to, " ");
    }
    buffer_print(to, "{\n");
    print_keys(kind, item, to, "    ");
    buffer_print(to, "}\n");
}

void config_dump(const struct config *config, struct buffer *to)
{
    char at[ENDPOINT_TEXT_MAX];
    print_keys(SECTION_TOP, config, to, "");
    print_section(SECTION_LIMITS, NULL, &config->limits, to);
    print_section(SECTION_BOUNCE, NULL, &config->bounce, to);
    if (config->tlsrpt.on)
        print_section(SECTION_TLSRPT, NULL, &config->tlsrpt, to);
    if (config->admin.on)
        print_section(SECTION_ADMIN,
                      config->admin.path ? config->admin.path
                                         : endpoint_format(&config->admin.at, at),
                      &config->admin, to);
    for (unsigned i = 0; i < config->listen_count; i++)
        print_section(SECTION_LISTEN, endpoint_format(&config->listen[i].at, at),
                      &config->listen[i], to);
    for (unsigned i = 0; i < config->route_count; i++)
        print_section(SECTION_ROUTE, config->route_list[i].name, &config->route_list[i], to);
    for (unsigned i = 0; i < config->tls_count; i++)
        print_section(SECTION_TLS, config->tls_list[i].name, &config->tls_list[i], to);
    for (unsigned i = 0; i < config->destination_count; i++)
        print_section(SECTION_DESTINATION, config->destination_list[i].name,
                      &config->destination_list[i], to);
    for (unsigned i = 0; i < config->retry_count; i++)
        print_section(SECTION_RETRY, config->retry_list[i].name, &config->retry_list[i], to);
    for (unsigned i = 0; i < config->rule_count; i++)
        print_section(SECTION_REPLY, config->rules[i].name, &config->rules[i], to);
    for (unsigned i = 0; i < config->user_count; i++)
        print_section(SECTION_USER, config->user_list[i].name, &config->user_list[i], to);
    for (unsigned i = 0; i < config->login_count; i++)
        print_section(SECTION_LOGIN, config->login_list[i].name, &config->login_list[i], to);
}
