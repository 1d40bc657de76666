#include "base/mailbox.h"

#include "tests/suite.h"

#include <pthread.h>
#include <semaphore.h>

#define POSTERS 4
#define MAILS_EACH 20000

struct letter {
    struct mail mail;
    int poster, number;
};

static struct letter letters[POSTERS][MAILS_EACH];

/* What the taker has seen. */
struct reader {
    int next[POSTERS]; /* the number that must come next from each */
    int taken;
};

static void count_wake(void *owner)
{
    ++*(int *)owner;
}

static void read_letter(struct mail *take, void *taker)
{
    struct letter *letter = container_of(take, struct letter, mail);
    struct reader *reader = taker;
    ck_assert_int_eq(letter->number, reader->next[letter->poster]);
    reader->next[letter->poster]++;
    reader->taken++;
}

static struct mail *write_letter(int poster, int number)
{
    struct letter *letter = &letters[poster][number];
    *letter = (struct letter){{.deliver = read_letter}, poster, number};
    return &letter->mail;
}

START_TEST(keeps_order_and_wakes_once)
{
    struct mailbox box;
    struct reader reader = {0};
    int wakes = 0;
    mailbox_init(&box, count_wake, &wakes);
    ck_assert(mailbox_empty(&box));
    ck_assert_ptr_null(mailbox_take(&box));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5; i++)
            mailbox_post(&box, write_letter(0, round * 5 + i));
        ck_assert(!mailbox_empty(&box));
        ck_assert_int_eq(wakes, round + 1);
        ck_assert_uint_eq(mailbox_deliver(&box, &reader), 5);
        ck_assert(mailbox_empty(&box));
    }
    ck_assert_int_eq(reader.taken, 10);
    ck_assert_uint_eq(mailbox_deliver(&box, &reader), 0);
}
END_TEST

START_TEST(takes_a_chain)
{
    struct mailbox box;
    int wakes = 0;
    mailbox_init(&box, count_wake, &wakes);
    for (int i = 0; i < 3; i++)
        mailbox_post(&box, write_letter(0, i));
    struct mail *mail = mailbox_take(&box);
    for (int i = 0; i < 3; i++, mail = mail->next)
        ck_assert_ptr_eq(mail, &letters[0][i].mail);
    ck_assert_ptr_null(mail);
}
END_TEST

/* Posts itself again into the box it came from: that is the next round's. */
static void post_again(struct mail *take, void *taker)
{
    mailbox_post(taker, take);
}

START_TEST(a_mail_may_be_posted_while_delivered)
{
    struct mailbox box;
    struct mail mails[2] = {{.deliver = post_again}, {.deliver = post_again}};
    int wakes = 0;
    mailbox_init(&box, count_wake, &wakes);
    mailbox_post(&box, &mails[0]);
    mailbox_post(&box, &mails[1]);
    for (int round = 1; round < 4; round++) {
        ck_assert_uint_eq(mailbox_deliver(&box, &box), 2);
        ck_assert_int_eq(wakes, round + 1);
    }
}
END_TEST

static struct mailbox shared;
static sem_t awake;

static void wake_reader(void *owner)
{
    ck_assert_int_eq(sem_post(owner), 0);
}

static void *post_all(void *argument)
{
    int poster = *(int *)argument;
    for (int i = 0; i < MAILS_EACH; i++)
        mailbox_post(&shared, write_letter(poster, i));
    return NULL;
}

/* The reader sleeps whenever it has found the box empty: a lost wake is a test that hangs. */
START_TEST(many_threads)
{
    pthread_t threads[POSTERS];
    int numbers[POSTERS];
    struct reader reader = {0};
    ck_assert_int_eq(sem_init(&awake, 0, 0), 0);
    mailbox_init(&shared, wake_reader, &awake);
    for (int i = 0; i < POSTERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_all, &numbers[i]), 0);
    }
    while (reader.taken < POSTERS * MAILS_EACH) {
        sem_wait(&awake);
        mailbox_deliver(&shared, &reader);
    }
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(reader.next[i], MAILS_EACH);
    }
    ck_assert(mailbox_empty(&shared));
    sem_destroy(&awake);
}
END_TEST

TEST_MAIN("base/mailbox", keeps_order_and_wakes_once, takes_a_chain,
          a_mail_may_be_posted_while_delivered, many_threads)
