// Stands in for Microsoft's vcruntime_typeinfo.h: see declarations.h.
#pragma once
#include <vcruntime_exception.h>
class type_info {
public:
    type_info(const type_info&) = delete;
    virtual ~type_info();
    size_t hash_code() const noexcept;
    bool operator==(const type_info&) const noexcept;
    bool operator!=(const type_info&) const noexcept;
    bool before(const type_info&) const noexcept;
    const char* name() const noexcept;
};
namespace std {
using ::type_info;
class bad_cast : public exception {};
class bad_typeid : public exception {};
}
