#include "queue/inbox.h"

#include "tests/suite.h"

#include <semaphore.h>

enum { ROUNDS = 2000 };

struct player {
    pthread_t thread;
    struct inbox *inbox;
    bool patient; /* every other mail is */
    int rounds;
    struct mail mail;
    sem_t taken;
};

static bool is_patient(const struct player *player, int round)
{
    return player->patient && round % 2 == 0;
}

static void *play(void *argument)
{
    struct player *player = argument;
    for (int i = 0; i < player->rounds; i++) {
        if (is_patient(player, i))
            inbox_post_patient(player->inbox, &player->mail);
        else
            mailbox_post(&player->inbox->box, &player->mail);
        while (sem_wait(&player->taken) != 0) {}
    }
    return NULL;
}

/* One mail is on its way at a time, so the taker is asleep as a rule when it comes: were a
 * single wake lost, this would never end. */
static void take_all(bool patient, int rounds)
{
    struct inbox inbox;
    struct player player = {.inbox = &inbox, .patient = patient, .rounds = rounds};
    inbox_init(&inbox);
    sem_init(&player.taken, 0, 0);
    ck_assert_int_eq(pthread_create(&player.thread, NULL, play, &player), 0);
    for (int i = 0; i < rounds; i++) {
        struct mail *hasty, *waiting;
        inbox_take_both(&inbox, -1, &hasty, &waiting);
        ck_assert_ptr_eq(is_patient(&player, i) ? waiting : hasty, &player.mail);
        ck_assert_ptr_null(is_patient(&player, i) ? hasty : waiting);
        ck_assert_ptr_null(inbox_take(&inbox, 0));
        sem_post(&player.taken);
    }
    pthread_join(player.thread, NULL);
    sem_destroy(&player.taken);
    inbox_free(&inbox);
}

START_TEST(no_wake_is_lost)
{
    take_all(false, ROUNDS);
}
END_TEST

START_TEST(no_wake_of_either_is_lost)
{
    take_all(true, ROUNDS / 10);
}
END_TEST

START_TEST(oldest_first)
{
    struct inbox inbox;
    struct mail mails[3];
    inbox_init(&inbox);
    for (size_t i = 0; i < countof(mails); i++)
        mailbox_post(&inbox.box, &mails[i]);
    struct mail *first = inbox_take(&inbox, 1000);
    ck_assert(first == &mails[0] && first->next == &mails[1]);
    ck_assert(mails[1].next == &mails[2] && mails[2].next == NULL);
    inbox_free(&inbox);
}
END_TEST

/* Whatever comes into the box takes it along; and where nothing does it comes all the same. */
START_TEST(what_is_patient_comes_too)
{
    struct inbox inbox;
    struct mail hasty, patient, *box, *others;
    inbox_init(&inbox);
    for (int wait_ms = -1; wait_ms <= 1; wait_ms++) {
        inbox_post_patient(&inbox, &patient);
        mailbox_post(&inbox.box, &hasty);
        inbox_take_both(&inbox, wait_ms, &box, &others);
        ck_assert(box == &hasty && others == &patient);
        inbox_post_patient(&inbox, &patient);
        inbox_take_both(&inbox, wait_ms, &box, &others);
        ck_assert(box == NULL && others == &patient);
    }
    inbox_free(&inbox);
}
END_TEST

/* What is patient waits for nobody when there is enough of it. */
START_TEST(enough_is_enough)
{
    static struct mail mails[INBOX_ENOUGH];
    struct inbox inbox;
    struct mail *box, *patient;
    unsigned count = 0;
    inbox_init(&inbox);
    for (int turn = 0; turn < ROUNDS / 10; turn++, count = 0) {
        for (unsigned i = 0; i < INBOX_ENOUGH; i++)
            inbox_post_patient(&inbox, &mails[i]);
        inbox_take_both(&inbox, -1, &box, &patient);
        for (; patient != NULL; patient = patient->next)
            count++;
        ck_assert_uint_eq(count, INBOX_ENOUGH);
    }
    inbox_free(&inbox);
}
END_TEST

START_TEST(gives_up_waiting)
{
    struct inbox inbox;
    inbox_init(&inbox);
    ck_assert_ptr_null(inbox_take(&inbox, 0));
    ck_assert_ptr_null(inbox_take(&inbox, 1));
    inbox_free(&inbox);
}
END_TEST

TEST_MAIN("queue/inbox", no_wake_is_lost, oldest_first, what_is_patient_comes_too,
          no_wake_of_either_is_lost, enough_is_enough, gives_up_waiting)
