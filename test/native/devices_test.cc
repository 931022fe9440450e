// Devices: which ids are valid, how an id is written in JSON, which keys are taken, and the order of devices.

#include "flush/devices.h"

#include <string>
#include <vector>

#include "check.h"
#include "flush/device_key.h"

namespace vmm {
namespace {

std::vector<std::string> Keys(const DeviceList& list) {
  std::vector<std::string> keys;
  for (const Device* d = list.first.load(std::memory_order_acquire); d != nullptr; d = d->next.load(std::memory_order_acquire)) {
    keys.push_back(std::string(d->key, d->key_bytes));
  }
  return keys;
}

TEST("given bytes, when they are checked as an id, then they are one if they are 1 to 255 bytes of UTF-8 without NUL") {
  const struct {
    const char* what;
    std::string id;
    bool expected;
  } cases[] = {
      {"empty", "", false},
      {"one byte", "a", true},
      {"255 bytes", std::string(255, 'a'), true},
      {"256 bytes", std::string(256, 'a'), false},
      {"255 bytes of longer characters", std::string(253, 'a') + "\xc3\xa9", true},
      {"256 bytes of longer characters", std::string(254, 'a') + "\xc3\xa9", false},
      {"NUL alone", std::string(1, '\0'), false},
      {"NUL within", std::string("a\0b", 3), false},
      {"NUL at the end", std::string("a\0", 2), false},
      {"control characters and DEL", "\x01\x1f\x7f", true},
      {"quote, backslash, slash", "\"\\/", true},
      {"U+0080, the first of two bytes", "\xc2\x80", true},
      {"U+07FF, the last of two bytes", "\xdf\xbf", true},
      {"U+0800, the first of three bytes", "\xe0\xa0\x80", true},
      {"U+D7FF, before the surrogates", "\xed\x9f\xbf", true},
      {"U+E000, after the surrogates", "\xee\x80\x80", true},
      {"U+FFFF, the last of three bytes", "\xef\xbf\xbf", true},
      {"U+10000, the first of four bytes", "\xf0\x90\x80\x80", true},
      {"U+10FFFF, the last of all", "\xf4\x8f\xbf\xbf", true},
      {"overlong NUL, two bytes", "\xc0\x80", false},
      {"overlong slash, two bytes", "\xc0\xaf", false},
      {"overlong U+007F, two bytes", "\xc1\xbf", false},
      {"overlong U+07FF, three bytes", "\xe0\x9f\xbf", false},
      {"overlong NUL, three bytes", "\xe0\x80\x80", false},
      {"overlong U+FFFF, four bytes", "\xf0\x8f\xbf\xbf", false},
      {"overlong NUL, four bytes", "\xf0\x80\x80\x80", false},
      {"the first high surrogate", "\xed\xa0\x80", false},
      {"the last low surrogate", "\xed\xbf\xbf", false},
      {"a pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80", false},
      {"U+110000, past the last", "\xf4\x90\x80\x80", false},
      {"lead byte F5", "\xf5\x80\x80\x80", false},
      {"five bytes", "\xf8\x88\x80\x80\x80", false},
      {"six bytes", "\xfc\x84\x80\x80\x80\x80", false},
      {"FE and FF", "\xfe\xff", false},
      {"a continuation alone", "\x80", false},
      {"a continuation too many", "\xc3\xa9\xa9", false},
      {"cut off after one of two", "\xc3", false},
      {"cut off after one of three", "\xe2", false},
      {"cut off after two of three", "\xe2\x82", false},
      {"cut off after three of four", "\xf0\x9f\x98", false},
      {"cut off before ASCII",
       "\xe2\x82"
       "a",
       false},
      {"a lead byte where a continuation should be", "\xc3\xc3\xa9", false},
      {"bad only after good", "abc\xff", false},
      {"text of all lengths", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true},
  };
  for (const auto& c : cases) {
    if (!CHECK_EQ(IsDeviceId(c.id), c.expected)) std::printf("  %s\n", c.what);
  }
}

TEST("given text, when it becomes a JSON string, then only quotes, backslashes and control characters are escaped") {
  CHECK_EQ(JsonString(""), "\"\"");
  CHECK_EQ(JsonString("drv0/a"), "\"drv0/a\"");
  CHECK_EQ(JsonString("\"\\"), R"("\"\\")");
  CHECK_EQ(JsonString("\b\f\n\r\t"), R"("\b\f\n\r\t")");
  CHECK_EQ(JsonString("\x01\x0b\x0e\x10\x1f"), R"("\u0001\u000b\u000e\u0010\u001f")");
  CHECK_EQ(JsonString("\x7f"), "\"\x7f\"");
  CHECK_EQ(JsonString("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\"");
}

TEST("given ids added in any order, when the list is walked, then it is sorted by their bytes as unsigned") {
  Devices devices({"d"}, {});
  const std::vector<std::string> ids = {"b", "\xf0\x9f\x98\x80", "a", "\xc3\xa9", "B", "aa", "10", "9", "\xef\xbf\xbf", "~"};
  const std::vector<std::string> sorted = {"10", "9", "B", "a", "aa", "b", "~", "\xc3\xa9", "\xef\xbf\xbf", "\xf0\x9f\x98\x80"};
  for (const std::string& id : ids) devices.Add(0, id, 0);
  std::vector<std::string> expected;
  for (const std::string& id : sorted) expected.push_back(",\"d_" + id + "\":{");
  CHECK(Keys(devices.lists()[0]) == expected);
  const std::vector<Devices::Entry> all = devices.Living(0);
  CHECK_EQ(all.size(), sorted.size());
  for (size_t i = 0; i < all.size(); i++) CHECK_EQ(all[i].id, sorted[i]);
}

TEST("given an id with characters to escape, when its key is measured, then the measure is its length in the line") {
  Devices devices({"d"}, {});
  for (const std::string& id :
       {std::string("a"), std::string("\"\\\n\x01"), std::string("\xf0\x9f\x98\x80"), std::string(255, '\x02')}) {
    const uint32_t bytes = devices.KeyBytes(0, id);
    CHECK_EQ(devices.Add(0, id, 0)->key_bytes, bytes);
  }
}

TEST("given groups, when devices have the same id, then each group has its own device") {
  Devices devices({"d", "e"}, {});
  const Device* in_d = devices.Add(0, "a", 1);
  CHECK(devices.Find(1, "a") == nullptr);
  const Device* in_e = devices.Add(1, "a", 2);
  CHECK(devices.Find(0, "a") == in_d);
  CHECK(devices.Find(1, "a") == in_e);
  CHECK(devices.Remove(0, "a"));
  CHECK(devices.Find(1, "a") == in_e);
}

TEST("given the keys of the line and of other devices, when an id would get one of them, then its key counts as taken") {
  // "net_a" is a group of the schema; "block" and "block_a" are groups of devices, so that block_a + b and block + a_b
  // collide.
  Devices devices({"net", "block", "block_a"}, {"net", "block", "block_a", "net_a"});
  CHECK(devices.IsKeyTaken(0, "a"));
  CHECK(!devices.IsKeyTaken(0, "b"));
  CHECK(devices.IsKeyTaken(1, "a"));
  CHECK(!devices.IsKeyTaken(2, "b"));
  devices.Add(1, "a_b", 0);
  CHECK(devices.IsKeyTaken(2, "b"));
  CHECK(!devices.IsKeyTaken(1, "a_b"));  // the key belongs to the device itself
  CHECK(devices.HasKey(1, "a_b"));
  CHECK(!devices.HasKey(2, "b"));
  CHECK(devices.Remove(1, "a_b"));
  CHECK(!devices.IsKeyTaken(2, "b"));
  devices.Add(1, "a_b", 0);
  CHECK(devices.Remove(1, "a_b", true));
  CHECK(devices.IsKeyTaken(2, "b"));  // the removed device's pending counts may still need the key
  CHECK(devices.HasKey(1, "a_b"));
  CHECK(devices.IsKeyTaken(1, "a"));
}

TEST(
    "given a device, when it is removed, then it is no longer found but stays in the list, and a new device of its id stands "
    "behind it") {
  Devices devices({"d"}, {});
  const Device* before = devices.Add(0, "a", 1);
  const Device* first = devices.Add(0, "b", 2);
  const Device* after = devices.Add(0, "c", 3);
  CHECK(!devices.Remove(0, "x"));
  CHECK(devices.Remove(0, "b"));
  CHECK(!devices.Remove(0, "b"));
  CHECK(devices.Find(0, "b") == nullptr);
  CHECK(first->removed.load());

  const Device* second = devices.Add(0, "b", 4);
  CHECK(second != first);
  CHECK(devices.Find(0, "b") == second);
  CHECK(!second->removed.load());
  CHECK(before->next.load() == first);
  CHECK(first->next.load() == second);
  CHECK(second->next.load() == after);
  CHECK(after->next.load() == nullptr);
  CHECK_EQ(devices.Living(0).size(), 3);

  CHECK(devices.Remove(0, "b"));
  CHECK(second->removed.load());
  CHECK(devices.Add(0, "b", 5) != second);
}

}  // namespace
}  // namespace vmm
