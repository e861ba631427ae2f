// Stands in for Microsoft's new.h: see declarations.h.
#pragma once
namespace std {
struct nothrow_t {};
extern const nothrow_t nothrow;
typedef void (*new_handler)();
new_handler get_new_handler() noexcept;
new_handler set_new_handler(new_handler) noexcept;
enum class align_val_t : size_t {};
}
inline void* operator new(size_t, void* p) noexcept { return p; }
inline void* operator new[](size_t, void* p) noexcept { return p; }
