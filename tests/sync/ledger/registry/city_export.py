"""The export of a made-up city: pupils with cards and entitlements, teachers, some of them at two schools."""

from pathlib import Path


def write_city(folder: Path, schools: int, people: int) -> list[str]:
    """Writes an export of so many schools with so many people each. Returns the schools' ids."""
    names = [f"city-{number:03}" for number in range(schools)]
    rows: dict[str, list[str]] = {
        "orgs.csv": ["sourcedId,status,dateLastModified,name,type"],
        "classes.csv": ["sourcedId,status,dateLastModified,title,grades,classType,schoolSourcedId"],
        "users.csv": ["sourcedId,status,dateLastModified,enabledUser,givenName,familyName,grades"],
        "roles.csv": ["sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId"],
        "enrollments.csv": [
            "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,beginDate,endDate"
        ],
        "cards.csv": ["userSourcedId,number"],
        "entitlements.csv": ["userSourcedId,grades,programme,sessions,first,last", ",01,state,,,"],
        "programmes.csv": ["sourcedId,name", "state,Тегін"],
    }  # fmt: skip
    for number, school in enumerate(names):
        rows["orgs.csv"].append(f'{school},,,"Мектеп, № {number}",school')
        rows["classes.csv"] += [
            f"{school}-c{grade},,,{grade} «А»,{grade:02},homeroom,{school}" for grade in range(1, 12)
        ]
        for count in range(people):
            person, grade = f"{school}-p{count}", count % 11 + 1
            is_teacher = count % 20 == 19
            rows["users.csv"].append(f'{person},,,true,Әлия,"Қасымова, {count}",{"" if is_teacher else f"{grade:02}"}')
            role = "teacher" if is_teacher else "student"
            rows["roles.csv"].append(f"r-{person},,,{person},primary,{role},,,{school}")
            if is_teacher:
                other = names[(number + 1) % schools]
                rows["roles.csv"].append(f"o-{person},,,{person},secondary,teacher,,,{other}")
            else:
                rows["enrollments.csv"].append(f"e-{person},,,{school}-c{grade},{school},{person},student,,")
                rows["cards.csv"].append(f"{person},{number * people + count:014X}")
                if count % 3 == 0:
                    rows["entitlements.csv"].append(f"{person},,state,,,")
    bulk = ("orgs", "classes", "users", "roles", "enrollments")
    rows["manifest.csv"] = ["propertyName,value", "manifest.version,1.0", "oneroster.version,1.2"]
    rows["manifest.csv"] += [f"file.{name},bulk" for name in bulk]
    for name, lines in rows.items():
        (folder / name).write_text("\n".join(lines) + "\n", "utf-8")
    return names
