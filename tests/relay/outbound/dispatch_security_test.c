/* Mail that is to be protected otherwise than usual (RFC 8689), on a dispatch with a spool and a
 * committer, but without network: workers are played by the test. */
#include "relay/outbound/dispatch.h"

#include "relay/os.h"
#include "relay/outbound/dispatch_destinations.h"
#include "tests/queue/scratch.h"

#define SLOTS_MAX 16

/* A certificate that the section knows, so that REQUIRETLS can be had at an address. */
#define PIN                                                                                        \
    "sha256:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:"                                      \
    "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"

static const char config_text[] =
    "hostname = \"relay.test\"\n"
    "destination \"*\" { max-connections = 4 max-connections-per-host = 3 }\n"
    "tls \"*\" { level = \"fingerprint\" fingerprints = { \"" PIN "\" } }\n"
    "tls \"may.test\" { level = \"may\" }\n"
    "route \"*\" { hosts = { \"[192.0.2.1]:25\" } }\n";

struct yard {
    struct scratch scratch;
    struct config *config;
    struct spool *spool;
    struct committer *committer;
    struct mailbox worker;
    struct dispatch *dispatch;
    struct slot slots[SLOTS_MAX];
    unsigned opened;
    struct local_end *ended[SLOTS_MAX];
    unsigned ended_count;
    uint64_t next_id;
};

static void open_connection(struct mail *take, void *taker)
{
    struct opening *opening = container_of(take, struct opening, mail);
    struct yard *yard = taker;
    ck_assert_uint_lt(yard->opened, SLOTS_MAX);
    slot_init(&yard->slots[yard->opened++], opening->site, 0, opening->probe, opening->reserved);
    free(opening);
}

static void wake(struct mail *mail, void *taker)
{
    struct yard *yard = taker;
    dispatch_woken(yard->dispatch, container_of(mail, struct slot, wake));
}

static void end_locally(struct mail *take, void *taker)
{
    struct yard *yard = taker;
    ck_assert_uint_lt(yard->ended_count, SLOTS_MAX);
    yard->ended[yard->ended_count++] = container_of(take, struct local_end, mail);
}

static void ignore(void *owner)
{
    (void)owner;
}

static void begin(struct yard *yard)
{
    char path[SCRATCH_MAX * 2], why[300] = "";
    int exit_code;
    struct buffer errors CLEANUP(buffer_free) = {0};
    *yard = (struct yard){.scratch = scratch_make(), .next_id = (uint64_t)os_wall() << 20};
    FILE *file = fopen(scratch_file(&yard->scratch, "conf", path), "we");
    ck_assert(file != NULL && fputs(config_text, file) >= 0 && fclose(file) == 0);
    struct spool_options options = scratch_options(&yard->scratch, SMALL_MAP);
    options.durability = DURABILITY_NONE;
    yard->spool = spool_open(&options, why, sizeof(why), &exit_code);
    ck_assert_msg(yard->spool != NULL, "%s", why);
    yard->config = config_read(path, &errors);
    ck_assert_msg(yard->config != NULL, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    yard->committer = committer_create(yard->spool);
    mailbox_init(&yard->worker, ignore, NULL);
    struct dispatch_parts parts = {.config = yard->config,
                                   .spool = yard->spool,
                                   .committer = yard->committer,
                                   .workers = &yard->worker,
                                   .worker_count = 1,
                                   .open = open_connection,
                                   .end_locally = end_locally,
                                   .wake = wake};
    yard->dispatch = dispatch_create(&parts);
}

static void leave(struct yard *yard, struct slot *slot)
{
    mailbox_deliver(&yard->worker, yard);
    if (slot->state != SLOT_LEFT)
        ck_assert(dispatch_leave(yard->dispatch, slot));
    mailbox_deliver(&yard->worker, yard);
}

static void end(struct yard *yard)
{
    mailbox_deliver(&yard->worker, yard);
    dispatch_drain(yard->dispatch);
    for (unsigned i = 0; i < yard->opened; i++)
        leave(yard, &yard->slots[i]);
    for (unsigned i = 0; i < yard->ended_count; i++) {
        arena_free(&yard->ended[i]->arena);
        free(yard->ended[i]);
    }
    dispatch_destroy(&yard->dispatch);
    committer_destroy(&yard->committer);
    spool_close(&yard->spool);
    config_drop(&yard->config);
    scratch_remove(&yard->scratch);
}

/* One envelope that is due. */
static void put(struct yard *yard, const char *destination, enum security security)
{
    struct spool_glance glance = {.id = yard->next_id++, .recipients = 1, .security = security};
    snprintf(glance.destination, sizeof(glance.destination), "%s", destination);
    dispatch_restore(yard->dispatch, &glance, 1);
    mailbox_deliver(&yard->worker, yard);
}

static struct entry *claim(struct yard *yard, unsigned slot)
{
    bool idle;
    return dispatch_claim(yard->dispatch, &yard->slots[slot], false, &idle);
}

START_TEST(connections_are_not_shared)
{
    struct yard yard;
    begin(&yard);
    put(&yard, "a.test", SECURITY_USUAL);
    put(&yard, "a.test", SECURITY_REQUIRED);
    put(&yard, "a.test", SECURITY_OPTIONAL);
    ck_assert_uint_eq(yard.opened, 3);
    for (unsigned i = 0; i < 3; i++) {
        struct entry *entry = claim(&yard, i);
        ck_assert_ptr_nonnull(entry);
        ck_assert_str_eq(entry->destination->name, "a.test");
        ck_assert_ptr_eq(yard.slots[i].site, ((struct route *)entry->destination->route)->site);
        for (unsigned j = 0; j < i; j++)
            ck_assert_ptr_ne(yard.slots[i].site, yard.slots[j].site);
        dispatch_finished(yard.dispatch, entry);
    }
    put(&yard, "b.test", SECURITY_REQUIRED); /* what is the same for two domains is shared */
    ck_assert_ptr_nonnull(claim(&yard, 1));
    ck_assert_ptr_null(claim(&yard, 0));
    end(&yard);
}
END_TEST

START_TEST(a_host_counts_all_that_go_there)
{
    struct yard yard;
    begin(&yard);
    put(&yard, "a.test", SECURITY_USUAL);
    put(&yard, "a.test", SECURITY_REQUIRED);
    put(&yard, "a.test", SECURITY_OPTIONAL);
    put(&yard, "may.test", SECURITY_OPTIONAL); /* the fourth site, at the same address */
    ck_assert_uint_eq(yard.opened, 3);
    end(&yard);
}
END_TEST

START_TEST(a_suspension_is_of_all)
{
    struct yard yard;
    struct suspension suspension = {.destination = "a.test", .reason = "they asked"};
    begin(&yard);
    ck_assert(dispatch_suspend(yard.dispatch, &suspension));
    put(&yard, "a.test", SECURITY_USUAL);
    put(&yard, "a.test", SECURITY_REQUIRED);
    put(&yard, "a.test", SECURITY_OPTIONAL);
    ck_assert_uint_eq(yard.opened, 0);
    ck_assert(committer_step(yard.committer, 0));
    ck_assert(dispatch_lift(yard.dispatch, "a.test"));
    mailbox_deliver(&yard.worker, &yard);
    ck_assert_uint_eq(yard.opened, 3);
    ck_assert(dispatch_suspend(yard.dispatch, &suspension)); /* on their way, and in vain */
    for (unsigned i = 0; i < 3; i++)
        ck_assert_ptr_null(claim(&yard, i));
    ck_assert(committer_step(yard.committer, 0));
    end(&yard);
}
END_TEST

START_TEST(each_is_looked_at)
{
    struct yard yard;
    struct destination_names names;
    struct destination_look *look CLEANUP(look_free) = must_calloc(1, sizeof(*look));
    begin(&yard);
    put(&yard, "a.test", SECURITY_USUAL);
    put(&yard, "a.test", SECURITY_REQUIRED);
    put(&yard, "a.test", SECURITY_REQUIRED);
    dispatch_destinations(yard.dispatch, &names);
    ck_assert_uint_eq(names.count, 2);
    for (size_t i = 0; i < names.count; i++)
        ck_assert_uint_eq(names.items[i].envelopes,
                          names.items[i].security == SECURITY_REQUIRED ? 2 : 1);
    ck_assert(dispatch_look_at(yard.dispatch, "a.test", SECURITY_REQUIRED, look));
    ck_assert(look->known);
    ck_assert_uint_eq(look->counts[ENTRY_READY], 2);
    ck_assert(!dispatch_look_at(yard.dispatch, "a.test", SECURITY_OPTIONAL, look));
    destination_names_free(&names);
    end(&yard);
}
END_TEST

/* RFC 8689 4.2.1: without a host that gives what is asked for all of it comes back, and no other
 * mail is touched. */
START_TEST(what_no_host_will_do_for_comes_back)
{
    struct yard yard;
    struct verdict verdict = {
        .kind = VERDICT_BOUNCED, .status = {5, 7, 10}, .text = SPAN("no TLS")};
    begin(&yard);
    put(&yard, "a.test", SECURITY_REQUIRED);
    put(&yard, "a.test", SECURITY_USUAL);
    put(&yard, "a.test", SECURITY_REQUIRED);
    ck_assert_uint_eq(yard.opened, 3);
    for (unsigned i = 0; i < 3; i++) /* the second of them has another one beside it still */
        if (yard.slots[i].site == yard.slots[0].site)
            dispatch_lacking(yard.dispatch, &yard.slots[i], &verdict);
    mailbox_deliver(&yard.worker, &yard);
    ck_assert_uint_eq(yard.ended_count, 1); /* one by one */
    ck_assert_int_eq((int)yard.ended[0]->verdict.kind, VERDICT_BOUNCED);
    ck_assert_ptr_nonnull(yard.ended[0]->route);
    dispatch_next_local(yard.dispatch, yard.ended[0]->route, 0);
    put(&yard, "a.test", SECURITY_REQUIRED); /* and what comes next as well */
    mailbox_deliver(&yard.worker, &yard);
    ck_assert_uint_eq(yard.ended_count, 2);
    dispatch_next_local(yard.dispatch, yard.ended[1]->route, 0);
    mailbox_deliver(&yard.worker, &yard);
    ck_assert_uint_eq(yard.ended_count, 3);
    ck_assert_uint_eq(yard.opened, 3);
    ck_assert_ptr_nonnull(claim(&yard, 1));
    end(&yard);
}
END_TEST

TEST_MAIN("relay/outbound/dispatch_security", connections_are_not_shared,
          a_host_counts_all_that_go_there, a_suspension_is_of_all, each_is_looked_at,
          what_no_host_will_do_for_comes_back)
