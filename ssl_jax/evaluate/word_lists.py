"""Words of the English of the King James Bible, by how they are related. The lists are this project's own."""

RELATIONS = {
    "male and female": (
        "king queen, man woman, men women, father mother, son daughter, sons daughters, brother sister, husband wife, "
        "husbands wives, he she, his her, himself herself, lad damsel"
    ),
    "one and many": (
        "hand hands, king kings, city cities, servant servants, priest priests, prophet prophets, house houses, heart "
        "hearts, daughter daughters, child children, man men, woman women, mountain mountains, tree trees, stone "
        "stones, horse horses, nation nations, word words, day days, year years, eye eyes, ear ears, enemy enemies, "
        "wall walls, gate gates, river rivers, field fields, vineyard vineyards, altar altars, shepherd shepherds"
    ),
    "now and then": (
        "go went, say said, come came, see saw, give gave, take took, know knew, send sent, bring brought, hear heard, "
        "speak spake, stand stood, sit sat, fall fell, die died, smite smote, slay slew, flee fled, build built, call "
        "called, turn turned, answer answered, dwell dwelt, make made, find found, begin began, lift lifted, pass "
        "passed, gather gathered, fight fought, weep wept, serve served"
    ),
    "thou and he": (
        "go goeth, say saith, come cometh, see seeth, give giveth, take taketh, know knoweth, make maketh, speak "
        "speaketh, hear heareth, love loveth, keep keepeth, dwell dwelleth, live liveth, sit sitteth, eat eateth, seek "
        "seeketh, walk walketh, bring bringeth, believe believeth, hate hateth, turn turneth"
    ),
    "land and people": (
        "egypt egyptians, moab moabites, ammon ammonites, syria syrians, babylon chaldeans, canaan canaanites, midian "
        "midianites, amalek amalekites"
    ),
    "who and whose": "i my, thou thy, he his, she her, we our, ye your, they their",
}
"""By relation: pairs of words, separated by commas."""

KINDS = {
    "body": "hand foot eye ear mouth tongue lips face neck belly loins shoulder finger knees breast",
    "family": "father mother brother sister son daughter wife husband child brethren widow",
    "numbers": "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty seventy",
    "animals": "sheep oxen asses camels goats lambs rams bullocks kine horses",
    "metals": "gold silver brass iron",
    "food": "bread wine oil honey milk flour corn barley wheat figs grapes",
    "tribes": "reuben simeon gad asher naphtali dan zebulun issachar manasseh ephraim benjamin",
    "peoples": "philistines amorites canaanites hittites jebusites perizzites hivites moabites ammonites midianites",
    "kings of judah": "rehoboam asa jehoshaphat joram joash amaziah uzziah jotham ahaz hezekiah manasseh josiah",
    "disciples": "peter john james paul barnabas philip simon thomas",
    "sky": "sun moon stars clouds rain snow wind thunder lightning",
    "weapons": "sword spear shield bow arrows staff",
    "directions": "north south east west",
    "ordinals": "first second third fourth fifth sixth seventh eighth ninth tenth",
    "times": "morning evening night noon day month year week hour",
    "offices": "king prince captain governor judge ruler priest scribe prophet",
}
"""By kind: words of that kind. Words of two kinds belong to both."""
