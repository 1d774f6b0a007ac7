"""ONS open data in its true shapes, with every trap seen in the published files, from file to server.

The excerpts are written here by hand; what must come of them is written beside them, by hand too. With AFLUXO_TEST_ONS_DIR (a
directory of published files) those are migrated as well and compared value by value with what csv, decimal and zoneinfo say.
"""
import collections
import csv
import decimal
import glob
import os
import shutil
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import lib
from lib import DIFFERENT, DONE, FAILED, REJECTED, Case

ONS_DIR = os.environ.get("AFLUXO_TEST_ONS_DIR")


def setUpModule():
    global server
    server = lib.Influxd()


def tearDownModule():
    server.close()


def utc(text):
    """2018-11-04T03 -> ns"""
    since = datetime.fromisoformat(text).replace(tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86400 + since.seconds) * 10**9


class Ons(Case):
    def setUp(self):
        super().setUp()
        self.db = "ons_" + self.id().rsplit(".", 1)[1]

    def target(self):
        return ["--to", server.url, "--bucket", self.db]

    def migrate(self, *sources, status=DONE, options=()):
        r = self.afluxo(status, "migrate", *sources, *self.target(), "--create", "--state", self.path("state"), "--verify", "--json",
                        *options)
        self.assertTrue(r.json["verified"]["equal"], r)
        return r.json

    def stored(self, measurement):
        """{(tag values in order of their names, ns): {field: value}}"""
        out = {}
        for series in server.query(f'SELECT * FROM "{measurement}" GROUP BY *', self.db)["results"][0].get("series", []):
            tags = tuple(v for _, v in sorted(series["tags"].items()) if v)
            for time, *values in series["values"]:
                out[tags, time] = {k: v for k, v in zip(series["columns"][1:], values) if v is not None}
        return out


class Load(Ons):
    HEAD = "id_subsistema;nom_subsistema;din_instante;val_cargaenergiahomwmed\n"

    def test_the_hour_that_was_not_and_the_one_that_was_twice(self):
        path = self.write("CURVA_CARGA_2018.csv", self.HEAD +
                          "S;SUL;2018-02-17 22:00:00;9000.5\n"
                          "S;SUL;2018-02-17 23:00:00;8000.25\n"     # once, for two real hours: the first, UTC-2
                          "S;SUL;2018-02-18 00:00:00;7000\n"
                          "S;SUL;2018-11-03 23:00:00;8630.81001220\n"
                          "N;NORTE;2018-11-04 00:00:00;\n"          # this hour did not exist
                          "NE;NORDESTE;2018-11-04 00:00:00;\n"
                          "S;SUL;2018-11-04 00:00:00;0E-8\n"        # a zero that nobody measured
                          "S;SUL;2018-11-04 01:00:00;7879.50500320\n"
                          "SE;SUDESTE;2018-07-01 00:00:00;0E-8\n")  # one that may be
        result = self.migrate(path)
        self.assertEqual((result["rows_read"], result["rows_empty"], result["points_written"]), (9, 3, 6))
        self.assertEqual(self.stored("consumption_data"), {
            (("total", "S"), utc("2018-02-18T00")): {"demand_mw": 9000.5},
            (("total", "S"), utc("2018-02-18T01")): {"demand_mw": 8000.25},
            (("total", "S"), utc("2018-02-18T03")): {"demand_mw": 7000},
            (("total", "S"), utc("2018-11-04T02")): {"demand_mw": 8630.8100122},
            (("total", "S"), utc("2018-11-04T03")): {"demand_mw": 7879.5050032},
            (("total", "SE"), utc("2018-07-01T03")): {"demand_mw": 0},
        })

    def test_days_are_local_days_with_and_without_hours(self):
        head = "id_subsistema;nom_subsistema;din_instante;val_cargaenergiamwmed\n"
        self.write("carga/CARGA_ENERGIA_2018.csv", head + "N;NORTE;2018-01-01;4828.0725\nN;NORTE;2018-07-01;5000.5\n"
                                                          "N;NORTE;2018-11-04;4700.25\n")  # begins at 01:00
        self.write("carga/CARGA_ENERGIA_2013.csv", head + "S;SUL;2013-02-02 00:00:00;9100.125\nS;SUL;2013-02-02 00:00:01;\n")
        result = self.migrate(self.path("carga"))
        self.assertEqual((result["files"], result["rows_read"], result["rows_empty"]), (2, 5, 1))
        self.assertEqual(self.stored("consumption_daily_data"), {
            (("total", "N"), utc("2018-01-01T02")): {"demand_mw": 4828.0725},
            (("total", "N"), utc("2018-07-01T03")): {"demand_mw": 5000.5},
            (("total", "N"), utc("2018-11-04T03")): {"demand_mw": 4700.25},
            (("total", "S"), utc("2013-02-02T02")): {"demand_mw": 9100.125},
        })

    def test_a_restated_year_overwrites(self):
        old = self.write("vintage-2023-10/CURVA_CARGA_2023.csv", self.HEAD + "N;NORTE;2023-04-29 00:00:00;5000\n"
                         "N;NORTE;2023-04-29 01:00:00;5100\nN;NORTE;2023-04-29 02:00:00;5200\n")
        new = self.write("CURVA_CARGA_2023.csv", self.HEAD + "N;NORTE;2023-04-29 01:00:00;6100.5\nN;NORTE;2023-04-29 02:00:00;6200\n"
                         "N;NORTE;2023-04-29 03:00:00;6300\n")
        self.migrate(old)
        r = self.afluxo(DIFFERENT, "verify", new, *self.target(), "--json")
        self.assertEqual((r.json["missing"], r.json["differing"]), (1, 2))
        self.assertEqual((r.json["differences"][0]["source"], r.json["differences"][0]["store"]), ("6100.5", "5100"))
        self.migrate(new)
        self.assertEqual([v["demand_mw"] for _, v in sorted(self.stored("consumption_data").items())], [5000, 6100.5, 6200, 6300])
        r = self.afluxo(DIFFERENT, "verify", old, *self.target(), "--json")
        self.assertEqual(r.json["differing"], 2)

    def test_copies_from_spreadsheets_give_the_same(self):
        text = self.HEAD + "SE;SUDESTE/CENTRO-OESTE;2024-01-01 00:00:00;35111.5\nN;\"NORTE; 1\";2024-01-01 00:00:00;6539.55999999\n"
        want = self.afluxo(DONE, "convert", self.write("CURVA_CARGA_2024.csv", text)).out
        self.assertEqual(want, "consumption_data,consumer_type=total,region=SE demand_mw=35111.5 1704078000000000000\n"
                               "consumption_data,consumer_type=total,region=N demand_mw=6539.55999999 1704078000000000000\n")
        comma = text.replace("35111.5", "35111,5").replace("6539.55999999", "6539,55999999")
        copies = {
            "bom": b"\xef\xbb\xbf" + text.encode(),
            "crlf": text.replace("\n", "\r\n").encode(),
            "comma": comma.encode(),
            "tab": text.replace("\"NORTE; 1\"", "NORTE").replace(";", "\t").encode(),
            "no_end": text.rstrip("\n").encode(),
        }
        for name, data in copies.items():
            with self.subTest(name):
                self.assertEqual(self.afluxo(DONE, "convert", self.write(f"{name}/CURVA_CARGA_2024.csv", data)).out, want)
        self.assertEqual(self.afluxo(DONE, "convert", self.write("renamed.csv", text)).out, want)
        wide = self.write("utf16/CURVA_CARGA_2024.csv", text.encode("utf-16"))
        self.assertIn("save it as UTF-8", self.afluxo(FAILED, "convert", wide).err)

    def test_a_renamed_column_is_told(self):
        head = self.HEAD.replace("val_cargaenergiahomwmed", "val_carga")
        path = self.write("CURVA_CARGA_2027.csv", head + "N;NORTE;2027-01-01 00:00:00;1\n")
        r = self.afluxo(FAILED, "convert", path)
        self.assertIn("ons-curva-carga", r.err)
        self.assertIn("val_cargaenergiahomwmed", r.err)
        mapping = self.afluxo(DONE, "inspect", "mapping", path, "--dataset", "ons-curva-carga").out
        mapping = self.write("m.yaml", mapping.replace("demand_mw: val_cargaenergiahomwmed", "demand_mw: val_carga"))
        self.assertEqual(self.afluxo(DONE, "convert", path, "--mapping", mapping).out,
                         "consumption_data,consumer_type=total,region=N demand_mw=1 1798772400000000000\n")

    def test_bad_rows_are_named_and_the_rest_arrives(self):
        path = self.write("CURVA_CARGA_2024.csv", self.HEAD + "N;NORTE;2024-01-01 00:00:00;1\nN;NORTE;2024-13-01 00:00:00;2\n"
                          "N;NORTE;2024-01-01 02:00:00;dois\nN;NORTE\nN;NORTE;2024-01-01 04:00:00;5\n")
        result = self.migrate(path, status=REJECTED)
        self.assertEqual((result["rows_rejected"], result["points_written"]), (3, 2))
        with open(result["dead_letters"], encoding="utf-8") as f:
            text = f.read()
        for part in ("2024-13-01 00:00:00", "dois", "din_instante", "val_cargaenergiahomwmed", "2 cells found, 4 wanted", path):
            self.assertIn(part, text)

    def test_stats_of_text_are_of_its_numbers(self):
        path = self.write("CURVA_CARGA_2018.csv", self.HEAD + "N;NORTE;2018-01-01 00:00:00;0E-8\nN;NORTE;2018-01-01 01:00:00;9.5\n"
                          "N;NORTE;2018-01-01 02:00:00;10.25\nN;NORTE;2018-01-01 03:00:00;\n")
        stats = self.afluxo(DONE, "inspect", "stats", path, "--json").json
        self.assertEqual(stats["rows"], 4)
        self.assertEqual(stats["columns"][3], {"name": "val_cargaenergiahomwmed", "type": "f64", "nulls": 1, "min": 0, "max": 10.25})
        self.assertEqual(stats["columns"][0]["type"], "string")


class Balance(Ons):
    def test_misspelt_header_padded_codes_and_the_sum(self):
        values = "val_gerhidraulica;val_gertermica;val_gereolica;val_gersolar;val_carga;val_intercambio\n"
        self.write("b/BALANCO_ENERGIA_SUBSISTEMA_2023.csv", "id_subsistena;nom_subsistema;din_instante;" + values +
                   "NE;NORDESTE;2023-01-01 00:00:00;3874.07299804;677.06298828;13305.26171875;1.93200004;10455.81799999;7402.512\n"
                   "SIN;SISTEMA INTERLIGADO NACIONAL;2023-01-01 00:00:00;50000;7000;15000;0E-8;72000;-0.5\n")
        self.write("b/BALANCO_ENERGIA_SUBSISTEMA_2026.csv", "id_subsistema;nom_subsistema;din_instante;" + values +
                   "N  ;NORTE;2026-01-01 00:00:00;11587.045999999998;1864.907;263.019;0.0;7622.605999999999;6094.172\n"
                   "SE ;SUDESTE/CENTRO-OESTE;2026-01-01 00:00:00;1;2;3;4;5;5\n")
        self.migrate(self.path("b"))
        got = self.stored("energy_balance_data")
        self.assertEqual({key[0][0] for key in got}, {"NE", "SIN", "N", "SE"})
        self.assertEqual(got[("NE",), utc("2023-01-01T03")], {
            "hydro_mw": 3874.07299804, "thermal_mw": 677.06298828, "wind_mw": 13305.26171875, "solar_mw": 1.93200004,
            "demand_mw": 10455.81799999, "interchange_mw": 7402.512})
        self.assertEqual(got[("SIN",), utc("2023-01-01T03")]["interchange_mw"], -0.5)
        self.assertEqual(got[("N",), utc("2026-01-01T03")]["hydro_mw"], 11587.045999999998)

    def test_a_pair_is_one_series_whichever_way_it_flows(self):
        self.write("i/INTERCAMBIO_NACIONAL_2018.csv", "din_instante;id_subsistema_origem;nom_subsistema_origem;id_subsistema_destino;"
                   "nom_subsistema_destino;val_intercambiomwmed\n"
                   "2018-11-03 23:00:00;N;NORTE;NE;NORDESTE;1786.003\n2018-11-04 01:00:00;N;NORTE;NE;NORDESTE;-5.5\n")
        self.write("i/INTERCAMBIO_NACIONAL_2026.csv", "din_instante;id_subsistema_origem;nom_subsistema_origem;id_subsistema_destino;"
                   "nom_subsistema_destino;val_intercambiomwmed;val_intercambioprogmwmed\n"
                   "2026-01-01 00:00:00;N; NORTE;NE; NORDESTE;1728.325;2643.612\n"
                   "2026-01-01 06:00:00;NE; NORDESTE;N; NORTE;1784.911;-466.526\n")
        self.migrate(self.path("i"))
        self.assertEqual(self.stored("transmission_data"), {
            (("N", "N-NE", "NE"), utc("2018-11-04T02")): {"flow_mw": 1786.003},
            (("N", "N-NE", "NE"), utc("2018-11-04T03")): {"flow_mw": -5.5},
            (("N", "N-NE", "NE"), utc("2026-01-01T03")): {"flow_mw": 1728.325, "scheduled_mw": 2643.612},
            (("N", "N-NE", "NE"), utc("2026-01-01T09")): {"flow_mw": -1784.911, "scheduled_mw": 466.526},
        })

    def test_costs_may_be_zero_and_below(self):
        self.migrate(self.write("CMO_SEMIHORARIO_2022.csv", "id_subsistema;nom_subsistema;din_instante;val_cmo\n"
                                "NE;NORDESTE;2022-01-01 00:00:00;0E-8\nNE;NORDESTE;2022-01-01 00:30:00;-0.01\n"
                                "NE;NORDESTE;2022-01-01 01:00:00;286.87\n"))
        self.assertEqual(self.stored("marginal_cost_data"), {
            (("NE",), utc("2022-01-01T03")): {"cmo": 0}, (("NE",), utc("2022-01-01T03:30")): {"cmo": -0.01},
            (("NE",), utc("2022-01-01T04")): {"cmo": 286.87}})

    def test_stored_and_inflow_energy(self):
        self.write("e/EAR_DIARIO_SUBSISTEMA_2023.csv",
                   "id_subsistema;nom_subsistema;ear_data;ear_max_subsistema;ear_verif_subsistema_mwmes;ear_verif_subsistema_percentual\n"
                   "NE;NORDESTE;2023-01-01;51691.2265625;34991.328125;67.69300079\n")
        self.write("e/ENA_DIARIO_SUBSISTEMA_2023.csv",
                   "id_subsistema;nom_subsistema;ena_data;ena_bruta_regiao_mwmed;ena_bruta_regiao_percentualmlt;"
                   "ena_armazenavel_regiao_mwmed;ena_armazenavel_regiao_percentualmlt\n"
                   "N;NORTE;2023-01-01;17715.67578125;114.15740204;16312.74902344;105.11710358\n")
        self.migrate(self.path("e"))
        self.assertEqual(self.stored("stored_energy_data"), {
            (("NE",), utc("2023-01-01T03")): {"ear_max_mwmonth": 51691.2265625, "ear_mwmonth": 34991.328125,
                                              "ear_percent": 67.69300079}})
        self.assertEqual(self.stored("inflow_energy_data")[("N",), utc("2023-01-01T03")]["ena_storable_pct_mlt"], 105.11710358)


class Plants(Ons):
    def test_the_later_of_two_rows_stays(self):
        head = ("id_subsistema;id_estado;nom_modalidadeoperacao;nom_conjuntousina;nom_usina;id_ons;ceg;din_instante;"
                "val_irradianciaverificado;flg_dadoirradianciainvalido;val_geracaoestimada;val_geracaoverificada\n")
        row = "SE;MG;Tipo II-C;Conj. Jaiba V;Jaíba CN;MGJCN;UFV.RS.MG.043147-8.01;2024-04-13 00:00:00;"
        result = self.migrate(self.write("RESTRICAO_COFF_FOTOVOLTAICA_DETAIL_2024_04.csv", head + row + "-1.691;True;;-0.064\n" +
                                         row + "-1.691;True;0.0;-0.072\n"))
        self.assertEqual((result["rows_read"], result["verified"]["points"], result["verified"]["doubles"]), (2, 1, 3))
        self.assertEqual(self.stored("curtailment_detail_data"), {
            (("solar", "Conj. Jaiba V", "MGJCN", "SE", "MG"), utc("2024-04-13T03")):
                {"irradiance": -1.691, "invalid": True, "estimated_mw": 0, "power_mw": -0.072}})

    def test_wind_flags_are_numbers_and_groups_may_be_empty(self):
        head = ("id_subsistema;id_estado;nom_modalidadeoperacao;nom_conjuntousina;nom_usina;id_ons;ceg;din_instante;"
                "val_ventoverificado;flg_dadoventoinvalido;val_geracaoestimada;val_geracaoverificada\n")
        self.migrate(self.write("RESTRICAO_COFF_EOLICA_DETAIL_2026_08.csv", head +
                                "N;MA;Tipo II-C;;Delta 3 I;MAEDT1;-;2026-08-01 00:00:00;5.079;0.0;3.808;4.755\n"
                                "N;MA;Tipo II-C;Conj. X;Delta 3 II;MAEDT2;-;2026-08-01 00:00:00;;1.0;;\n"
                                "N;MA;Tipo II-C;Conj. X;Delta 3 II;MAEDT2;-;2026-08-01 00:30:00;;;;\n"))
        self.assertEqual(self.stored("curtailment_detail_data"), {
            (("wind", "MAEDT1", "N", "MA"), utc("2026-08-01T03")): {"wind_speed": 5.079, "invalid": False, "estimated_mw": 3.808,
                                                                    "power_mw": 4.755},
            (("wind", "Conj. X", "MAEDT2", "N", "MA"), utc("2026-08-01T03")): {"invalid": True}})

    def test_reasons_are_fields_and_free_text_survives(self):
        head = ("id_subsistema;nom_subsistema;id_estado;nom_estado;nom_usina;id_ons;ceg;din_instante;val_geracao;val_geracaolimitada;"
                "val_disponibilidade;val_geracaoreferencia;val_geracaoreferenciafinal;cod_razaorestricao;cod_origemrestricao;dsc_restricao\n")
        row = "SE;SUDESTE/CENTRO-OESTE;MG;MINAS GERAIS;CONJ. JAÍBA;CJU_MGJBA;-;2026-01-01 "
        result = self.migrate(self.write("RESTRICAO_COFF_FOTOVOLTAICA_2026_01.csv", head + row + "00:00:00;0.0;;349.062;0.0;;;;\n" +
                                         row + "10:00:00;100.5;90;349.062;120.25;;ENE;SIS;"
                                         "\"Restrição; de \"\"transmissão\"\"\n500 kV, São João\"\n"))
        self.assertEqual(result["rows_read"], 2)
        self.assertEqual(self.stored("curtailment_data"), {
            (("solar", "CJU_MGJBA", "SE", "MG"), utc("2026-01-01T03")): {"power_mw": 0, "available_mw": 349.062, "reference_mw": 0},
            (("solar", "CJU_MGJBA", "SE", "MG"), utc("2026-01-01T13")): {
                "power_mw": 100.5, "limited_mw": 90, "available_mw": 349.062, "reference_mw": 120.25, "reason": "ENE", "origin": "SIS",
                "description": "Restrição; de \"transmissão\"\n500 kV, São João"}})

    def test_units_are_old_and_may_be_gone(self):
        head = ("id_subsistema;nom_subsistema;id_estado;nom_estado;nom_modalidadeoperacao;nom_agenteproprietario;nom_agenteoperador;"
                "nom_tipousina;nom_usina;ceg;nom_unidadegeradora;cod_equipamento;num_unidadegeradora;nom_combustivel;dat_entradateste;"
                "dat_entradaoperacao;dat_desativacao;val_potenciaefetiva\n")
        self.migrate(self.write("CAPACIDADE_GERACAO.csv", head +
                                "NE;NORDESTE;AL;ALAGOAS;TIPO I;CHESF;CHESF;HIDROELÉTRICA;XINGÓ;UHE.PH.SE.027053-9.01;"
                                "UG  527 MW USINA XINGO               1 AL;ALUXG-0UG1;1;HIDRÁULICA;1997-08-22;1926-04-01;;527.0\n"
                                "PY;PARAGUAI;PY;PARAGUAI;TIPO I;ITAIPU;ITAIPU;HIDROELÉTRICA;ITAIPU 50 HZ;-;UG 1;PYUIT-5UG1;1;HIDRÁULICA;;"
                                "1984-05-05;2020-12-31;700\n"
                                "S;SUL;RS;RIO GRANDE DO SUL;TIPO III;A;A;EOLIELÉTRICA;CERRO, A=B;EOL.1;UG 9;RSCER-0UG9;9;EÓLICA;;"
                                "2011-01-01;;2.0\n"))
        self.assertEqual(self.stored("generating_units"), {
            (("UHE.PH.SE.027053-9.01", "hydro", "hydro", "XINGÓ", "NE", "AL", "ALUXG-0UG1"), utc("1926-04-01T03")): {"capacity_mw": 527},
            (("hydro", "hydro", "ITAIPU 50 HZ", "PY", "PY", "PYUIT-5UG1"), utc("1984-05-05T03")): {"capacity_mw": 700,
                                                                                                  "decommissioned": "2020-12-31"},
            (("EOL.1", "wind", "wind", "CERRO, A=B", "S", "RS", "RSCER-0UG9"), utc("2011-01-01T02")): {"capacity_mw": 2}})

    def test_a_reservoir_twice_on_a_day(self):
        head = ("id_subsistema;nom_subsistema;tip_reservatorio;nom_bacia;nom_ree;id_reservatorio;nom_reservatorio;din_instante;"
                "val_nivelmontante;val_volumeutilcon;val_vazaoafluente;val_vazaoartificial\n")
        row = "SE;Sudeste/Centro-Oeste;FIO;AMAZONAS;%s;AMSAPI;SALTO APIACAS;2025-01-01;247.61000061035156;-104.5;%s;\n"
        result = self.migrate(self.write("DADOS_HIDROLOGICOS_RES_2025.csv", head + row % ("SUDESTE", "188.9") +
                                         row % ("TELES PIRES", "188.9") + row % ("TELES PIRES", "189.1")))
        self.assertEqual(result["verified"]["series"], 2)  # ONS moved it from one equivalent reservoir to another that day
        self.assertEqual(result["verified"]["doubles"], 3)
        got = self.stored("hydrology_data")
        self.assertEqual(got[("AMAZONAS", "TELES PIRES", "SE", "AMSAPI", "FIO"), utc("2025-01-01T03")],
                         {"upstream_level_m": 247.61000061035156, "useful_volume_pct": -104.5, "inflow_m3s": 189.1})

    def test_processed_files_in_their_odd_directories(self):
        self.afluxo(DONE, "generate", "ons", "--out", self.path("made"), "--to", "2023-01-03", "--plants", "4")
        source = glob.glob(self.path("made/dataset=generation/**/*.parquet"), recursive=True)[0]
        odd = self.path("lake/dataset=generation/year=2023/month=01/"
                        "processing_metadata_processed_at=2025-09-28 16:47:55.123456/9f1c.snappy.parquet")
        os.makedirs(os.path.dirname(odd))
        shutil.copy(source, odd)
        self.write("lake/_SUCCESS", "")
        result = self.migrate(self.path("lake"))
        self.assertEqual(result["files"], 1)
        self.assertEqual(server.count("generation_data", "unit", self.db), result["points_written"])
        keys = {row[0] for row in server.values('SHOW TAG KEYS FROM "generation_data"', self.db)}
        self.assertNotIn("processing_metadata_processed_at", keys)


# --- the published files themselves ---------------------------------------------------------------------------------------

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
HOURLY = {  # file name's start: measurement, tags beside region, {field: column}
    "CURVA_CARGA_": ("consumption_data", {"consumer_type": "total"}, {"demand_mw": "val_cargaenergiahomwmed"}),
    "CARGA_ENERGIA_": ("consumption_daily_data", {"consumer_type": "total"}, {"demand_mw": "val_cargaenergiamwmed"}),
    "CMO_SEMIHORARIO_": ("marginal_cost_data", {}, {"cmo": "val_cmo"}),
    "BALANCO_ENERGIA_": ("energy_balance_data", {}, {
        "hydro_mw": "val_gerhidraulica", "thermal_mw": "val_gertermica", "wind_mw": "val_gereolica", "solar_mw": "val_gersolar",
        "demand_mw": "val_carga", "interchange_mw": "val_intercambio"}),
}


def instant(text):
    """ns of a local time, and whether it existed."""
    wall = datetime.fromisoformat(text)
    there = wall.replace(tzinfo=SAO_PAULO).astimezone(timezone.utc)
    since = there - datetime(1970, 1, 1, tzinfo=timezone.utc)
    exists = there.astimezone(SAO_PAULO).replace(tzinfo=None) == wall
    return (since.days * 86400 + since.seconds) * 10**9, exists


def read_published(path):
    """({(measurement, tags): {ns: {field: value}}}, rows) by nothing of ours."""
    for start, (measurement, fixed, fields) in HOURLY.items():
        if os.path.basename(path).startswith(start):
            break
    else:
        return None, 0
    out = collections.defaultdict(dict)
    rows = 0
    with open(path, encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f, delimiter=";"):
            rows += 1
            ns, exists = instant(row["din_instante"])
            values = {k: float(decimal.Decimal(row[c])) for k, c in fields.items() if row[c]}
            if not exists and len(row["din_instante"]) > 10:
                values = {k: v for k, v in values.items() if v}
            if values:
                tags = dict(fixed, region=row.get("id_subsistema", row.get("id_subsistena")).strip())
                out[measurement, tuple(sorted(tags.items()))].setdefault(ns, {}).update(values)
    return out, rows


def published_tests():
    class Published(Ons):
        def setUp(self):
            super().setUp()
            self.binary = lib.RELEASE

        def migrate(self, *sources, **kw):
            r = self.afluxo(DONE, "migrate", *sources, *self.target(), "--create", "--state", self.path("state"), "--verify", "--json",
                            binary=self.binary)
            self.assertTrue(r.json["verified"]["equal"], r)
            return r.json

        def test_every_file_is_known_and_arrives(self):
            for n, path in enumerate(sorted(glob.glob(ONS_DIR + "/**/*.csv", recursive=True) +
                                            glob.glob(ONS_DIR + "/**/*.parquet", recursive=True))):
                with self.subTest(os.path.relpath(path, ONS_DIR)):
                    self.db = f"file_{n}"
                    result = self.migrate(path)
                    want, rows = read_published(path) if path.endswith(".csv") else (None, 0)
                    if want is None:
                        continue
                    self.assertEqual(result["rows_read"], rows)
                    got = {}
                    for measurement in {key[0] for key in want}:
                        for series in server.query(f'SELECT * FROM "{measurement}" GROUP BY *', self.db)["results"][0]["series"]:
                            got[measurement, tuple(sorted(series["tags"].items()))] = {
                                time: {k: v for k, v in zip(series["columns"][1:], values) if v is not None}
                                for time, *values in series["values"]}
                    self.assertEqual(got.keys(), want.keys())
                    for key, points in want.items():
                        self.assertTrue(got[key] == points, key)

        def test_the_whole_directory_at_once(self):
            result = self.migrate(ONS_DIR)
            self.assertEqual(result["files_bad"] + result["rows_rejected"], 0)

    return Published


if ONS_DIR:
    Published = published_tests()
