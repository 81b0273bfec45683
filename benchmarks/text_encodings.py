"""Texts in 12 encodings, 20 of each: which encoding does pantoum name for them?

Every text is refused, because none is UTF-8; the refusal should name the encoding first, or one that reads
all of the text alike. The table says how often the first name was right, how often one of the others named
was, and how often none was, or the text was read at all: faults. A text has 2 to 12 of our sentences.

    python benchmarks/text_encodings.py [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from pathlib import Path

from pantoum.data.prepare import prepare
from pantoum.errors import TextError

TEXTS = 20
SENTENCES = {
    "german": (
        "Der Müller fährt über die Brücke und grüßt die Bäuerin am Ufer.",
        "Im März blühen die ersten Äpfelbäume, aber nachts wird es noch kühl.",
        "Wir hätten früher gehen können, sagte Jürgen, und schloß die Tür.",
        "Das Mädchen läuft schnell durch das nasse Gras zum großen Tor.",
        "Für die Prüfung müssen wir fünf Übungen lösen und zwei Gedichte hören.",
    ),
    "french": (
        "L'été dernier, nous avons mangé des pâtes à la terrasse d'un café.",
        "Le garçon était déjà parti quand sa mère a préparé le dîner.",
        "Où êtes-vous allés après la fête ? Nous sommes rentrés très tôt.",
        "La forêt paraît plus sombre à l'automne, et les élèves y vont à pied.",
        "Il a reçu une lettre de son frère aîné, qui habite près de la frontière.",
    ),
    "spanish": (
        "El niño pequeño soñó con una montaña muy alta junto al océano.",
        "¿Dónde está la estación? Mañana saldrá el tren de las ocho.",
        "La canción que cantó mi tío en el jardín era de su país.",
        "Después de la reunión, el señor Muñoz volvió a su habitación.",
        "Aquí nunca llueve en otoño, pero el corazón del río está frío.",
    ),
    "swedish": (
        "Pojken går över ån för att hämta mjölk åt sin mormor på söndag.",
        "Det är kallt i skogen på våren, men fåglarna sjunger ändå.",
        "Vi åkte båt till ön och åt smörgåsar under ett stort träd.",
        "Läraren frågade om någon hade hört historien förut på svenska.",
        "På kvällen tände de ljus och väntade på gästerna från Malmö.",
    ),
    "polish": (
        "Żółta łódź płynęła powoli przez jezioro, a chłopiec śpiewał piosenkę.",
        "Wczoraj wieczorem poszliśmy do teatru, żeby zobaczyć nową sztukę.",
        "Dziewczynka znalazła w ogrodzie małego jeża i przyniosła mu mleko.",
        "Jeśli będzie padać śnieg, zostaniemy w domu i ugotujemy zupę grzybową.",
        "Mój wujek mieszka w Łodzi i pracuje tam jako nauczyciel od pięciu lat.",
    ),
    "czech": (
        "Příští týden pojedeme k babičce, která bydlí v malé vesnici u řeky.",
        "Můj mladší bratr chce být lékařem, ale nejdřív musí dokončit školu.",
        "V zimě často sněží a děti si staví sněhuláky před každým domem.",
        "Když začalo pršet, schovali jsme se pod velký strom na kopci.",
        "Žádný z žáků nevěděl, proč učitel odešel tak brzy ze třídy.",
    ),
    "hungarian": (
        "A kisfiú reggelente gyalog megy iskolába, mert közel laknak hozzá.",
        "Tegnap este későn értünk haza, és már nem volt meleg vacsora.",
        "Az öreg hídról jól látszik a folyó és a szőlővel beültetett hegyoldal.",
        "Nővérem könyvet ír egy művészről, aki száz évvel ezelőtt élt.",
        "Ősszel a fűzfák sárgulnak, és hűvös szél fúj a völgyből.",
    ),
    "russian": (
        "Мальчик вышел из дома рано утром и пошёл по дороге к старой мельнице.",
        "Вечером мы сидели у окна и слушали, как дождь стучит по крыше.",
        "Моя бабушка всегда рассказывала нам сказки перед сном.",
        "Зимой река замерзает, и дети катаются на коньках до самой темноты.",
        "Он долго не писал писем, потому что работал в далёком городе.",
    ),
    "ukrainian": (
        "Хлопчик вийшов із дому рано-вранці й пішов стежкою до старого млина.",
        "Увечері ми сиділи біля вікна та слухали, як дощ стукає по даху.",
        "Моя бабуся завжди розповідала нам казки перед сном.",
    ),
    "bulgarian": (
        "Момчето излезе рано сутринта от къщи и тръгна към старата мелница.",
        "Вечерта седяхме до прозореца и слушахме как дъждът чука по покрива.",
        "Моята баба винаги ни разказваше приказки преди сън.",
    ),
    "japanese": (
        "昨日の朝、少年は古い橋を渡って、川の向こうの村へ歩いて行きました。",
        "春になると、山の桜が咲いて、町の人々は公園でお弁当を食べます。",
        "おばあさんは毎晩、寝る前に子どもたちに昔話を聞かせてくれました。",
        "雨が降り始めたので、私たちは大きな木の下で友だちを待っていました。",
        "先生は黒板に難しい漢字を書いて、その意味をゆっくり説明した。",
    ),
    "simplified": (
        "昨天早上,男孩走过古老的石桥,到河对面的村子里去看他的奶奶。",
        "春天来了,山上的花都开了,城里的人们喜欢在公园里散步和吃饭。",
        "奶奶每天晚上都给孩子们讲故事,直到他们慢慢睡着。",
        "突然下起了大雨,我们只好站在一棵大树下面等朋友。",
        "老师在黑板上写了几个很难的汉字,然后慢慢地解释它们的意思。",
    ),
    "traditional": (
        "昨天早上,男孩走過古老的石橋,到河對面的村子裡去看他的奶奶。",
        "春天來了,山上的花都開了,城裡的人們喜歡在公園裡散步和吃飯。",
        "奶奶每天晚上都給孩子們講故事,直到他們慢慢睡著。",
        "突然下起了大雨,我們只好站在一棵大樹下面等朋友。",
        "老師在黑板上寫了幾個很難的漢字,然後慢慢地解釋它們的意思。",
    ),
    "korean": (
        "어제 아침 소년은 오래된 다리를 건너 강 건너편 마을로 걸어갔습니다.",
        "봄이 오면 산에 꽃이 피고 사람들은 공원에서 도시락을 먹습니다.",
        "할머니는 매일 밤 잠들기 전에 아이들에게 옛날이야기를 들려주었다.",
        "비가 내리기 시작해서 우리는 큰 나무 아래에서 친구를 기다렸다.",
        "선생님은 칠판에 어려운 글자를 쓰고 그 뜻을 천천히 설명했다.",
    ),
}
WEST, EAST = ("german", "french", "spanish", "swedish"), ("polish", "czech", "hungarian")
ENCODINGS = {
    "windows-1252": WEST,
    "iso-8859-15": WEST,
    "mac-roman": WEST,
    "windows-1250": EAST,
    "iso-8859-2": EAST,
    "windows-1251": ("russian", "ukrainian", "bulgarian"),
    "koi8-r": ("russian",),
    "shift-jis": ("japanese",),
    "euc-jp": ("japanese",),
    "gb18030": ("simplified",),
    "big5": ("traditional",),
    "euc-kr": ("korean",),
}
QUOTES = {"windows-1252": "“{}”", "windows-1250": "„{}”", "windows-1251": "«{}»", "mac-roman": "“{}”"}
"""Signs by which people's texts differ between encodings that have the same letters."""
NAMED = re.compile(r"(\S+) \([\"']")


def texts(encoding: str) -> list[str]:
    """The texts of an encoding, always the same."""
    languages, made = ENCODINGS[encoding], []
    for number in range(TEXTS):
        random_ = random.Random(f"{encoding} {number}")
        sentences = SENTENCES[languages[number % len(languages)]]
        chosen = [random_.choice(sentences) for _ in range(2 + number // 2)]
        if encoding in QUOTES:
            chosen[0] = QUOTES[encoding].format(chosen[0])
        made.append("\n".join(chosen) + "\n")
    return made


def verdict(text: str, encoding: str, folder: Path) -> str:
    """``first``, ``named``, ``other`` or ``read``."""
    data = text.encode(encoding)
    path = folder / "text.txt"
    path.write_bytes(data)
    try:
        prepare([path], out=folder / "out")
    except TextError as error:
        named = [data.decode(name, "replace") == text for name in NAMED.findall(str(error))]
        return "first" if named[:1] == [True] else "named" if any(named) else "other"
    return "read"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    rows: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for encoding in ENCODINGS:
            verdicts = [verdict(text, encoding, Path(folder)) for text in texts(encoding)]
            rows[encoding] = {each: verdicts.count(each) for each in ("first", "named", "other", "read")}
            if not wanted.json:
                print(encoding.ljust(14), rows[encoding], flush=True)
    total = {each: sum(row[each] for row in rows.values()) for each in ("first", "named", "other", "read")}
    print(json.dumps({"rows": rows, "total": total}) if wanted.json else f"{'total':<14} {total}")
    return 1 if total["other"] or total["read"] else 0


if __name__ == "__main__":
    sys.exit(main())
