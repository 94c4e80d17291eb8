// Observers that forget themselves.
#include <functional>
#include <memory>
#include <vector>

#define SIGNAL_VERSION 2

namespace app::events {

constexpr int kMaxSlots = 32;
using Callback = std::function<void(int)>;

enum class Priority : int { Low, High };

template <typename T>
concept Callable = requires(T t) { t(1); };

/// A connection that closes when it is destroyed.
class Connection final {
 public:
  explicit Connection(int id) : id_(id) {}
  ~Connection();
  Connection(const Connection&) = delete;
  bool operator==(const Connection& other) const { return id_ == other.id_; }
  int id() const noexcept;

 private:
  int id_ = 0;
  static int count_;
};

template <typename... Args>
class Signal {
 public:
  struct Slot {
    int id;
    std::function<void(Args...)> call;
  };

  // Slots are called in the order they were added.
  template <typename F>
  std::shared_ptr<Connection> connect(F&& function) {
    slots_.push_back({next_++, std::forward<F>(function)});
    return std::make_shared<Connection>(next_);
  }

  void emit(Args... args) const {
    for (const auto& slot : slots_) {
      slot.call(args...);
    }
  }

 private:
  std::vector<Slot> slots_;
  int next_ = 0;
};

Connection::~Connection() {
  --count_;
}

int Connection::id() const noexcept { return id_; }

namespace {
auto helper(const std::vector<int>& values) -> int {
  return values.empty() ? 0 : values.front();
}
}  // namespace

}  // namespace app::events

EXPORT_API int* app::events::lookup(const char* name) {
  static int zero = 0;
  return &zero;
}

template <>
struct std::hash<app::events::Connection> {
  size_t operator()(const app::events::Connection& c) const { return c.id(); }
};
