/* Whether DNS is validated: where the operator says nothing, as the levels of `tls` need it. A
 * name server that strips signatures would make every domain fail, so nobody validates who has
 * no use for it. */
#include "relay/config_read_inside.h"

static const struct tls_config *who_needs_it(const struct config *config)
{
    for (unsigned i = 0; i < config->tls_count; i++) {
        enum tls_level level = config->tls_list[i].policy.level;
        if (level == TLS_DANE || level == TLS_DANE_ONLY)
            return &config->tls_list[i];
    }
    return NULL;
}

void finish_dnssec(struct reader *reader)
{
    struct config *config = reader->config;
    const struct tls_config *user = who_needs_it(config);
    bool anchored = is_set(reader, 0, "trust-anchor"), said = is_set(reader, 0, "dnssec");
    const char *key = anchored ? "trust-anchor" : "dnssec";
    if (!said && (anchored || user != NULL))
        config->dnssec = DNSSEC_VALIDATE;
    if (config->dnssec == DNSSEC_OFF && user != NULL)
        report_add(&reader->report, place_of(reader, 0, "dnssec"),
                   "dnssec is off, but tls \"%s\" (%s) has level %s, which needs it: set it to "
                   "validate or trust-ad",
                   user->name, user->where, tls_level_name(user->policy.level));
    if (config->dnssec != DNSSEC_VALIDATE && anchored)
        report_add(&reader->report, place_of(reader, 0, key),
                   "trust-anchor has no use but for dnssec = validate");
    if (config->dnssec == DNSSEC_VALIDATE && config->trust_anchor == NULL)
        config->trust_anchor = CONFIG_TRUST_ANCHOR;
    config->dnssec_where = anchored || said ? where(reader, place_of(reader, 0, key))
                           : user           ? user->where
                                            : NULL;
}
